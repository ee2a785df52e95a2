// softmax, logSumExp. Numbers: rows, columns. Arrays: x (float); y (float), or for logSumExp the largest element and the sum of
// exp(x - largest) of each row (double).
#ifndef QUERN_MATH_SOFTMAX_H
#define QUERN_MATH_SOFTMAX_H

#include "math/functions.h"
#include "math/operation.h"
#include "math/sums.h"

// y = exp(x - largest)
static void exponentials(const float *x, float *y, int64_t count, float largest) {
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) vstore(y + i, vexp(vload(x + i) - largest));
  vstore_part(y + i, vexp(vload_part(x + i, count - i) - largest), count - i);
}

static void scale_row(float *row, int64_t count, float factor) {
  for (int64_t i = 0; i < count; i++) row[i] *= factor;
}

static double run_softmax(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1];
  const float *x = call->arrays[0];
  float *y = call->arrays[1];
  for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
    exponentials(x, y, columns, largest_of_row(x, columns));
    scale_row(y, columns, (float)(1 / sum_row(y, columns)));
  }
  return 0;
}

// A multiple of SUMS; sums of chunks are added in order.
enum { EXPONENTIALS = 1024 };

static double run_log_sum_exp(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1];
  const float *x = call->arrays[0];
  double *result = call->arrays[1];
  for (int64_t row = 0; row < rows; row++, x += columns) {
    float largest = largest_of_row(x, columns);
    double sum = 0;
    for (int64_t done = 0; done < columns; done += EXPONENTIALS) {
      float chunk[EXPONENTIALS];
      int64_t count = columns - done < EXPONENTIALS ? columns - done : EXPONENTIALS;
      exponentials(x + done, chunk, count, largest);
      sum += sum_row(chunk, count);
    }
    result[2 * row] = (double)largest;
    result[2 * row + 1] = sum;
  }
  return 0;
}

#endif
