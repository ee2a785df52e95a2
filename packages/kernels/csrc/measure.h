// What quantization did to rows of weights, as sums over each row: their order is the same on every instruction set.
#ifndef QUERN_MEASURE_H
#define QUERN_MEASURE_H

#include "kernel.h"
#include "vec.h"

// Element i of a row is added to sum i % SUMS, and the sums are added in order at the end of the row.
enum { SUMS = 8, SUM_LANES = VEC_LANES / 2, SUM_VECTORS = SUMS / SUM_LANES };
// A multiple of SUMS and of every block size.
enum { MEASURE_CHUNK = 1024 };

typedef double vsums __attribute__((vector_size(8 * SUM_LANES)));
typedef float vaddends __attribute__((vector_size(4 * SUM_LANES), aligned(1), may_alias));

typedef struct {
  vsums weights[SUM_VECTORS], errors[SUM_VECTORS];
} row_sums;

INLINE vsums load_doubles(const float *source) { return __builtin_convertvector(*(const vaddends *)source, vsums); }

// Begins with an element that is added to the first sum.
INLINE void measure_elements(const float *weights, const float *restored, int64_t count, row_sums *sums) {
  row_sums total = *sums;
  int64_t done = 0;
  for (; done + SUMS <= count; done += SUMS) {
    for (int i = 0; i < SUM_VECTORS; i++) {
      vsums weight = load_doubles(weights + done + i * SUM_LANES);
      vsums error = weight - load_doubles(restored + done + i * SUM_LANES);
      total.weights[i] += weight * weight;
      total.errors[i] += error * error;
    }
  }
  *sums = total;
  for (int i = 0; done + i < count; i++) {
    double weight = weights[done + i], error = weight - restored[done + i];
    sums->weights[i / SUM_LANES][i % SUM_LANES] += weight * weight;
    sums->errors[i / SUM_LANES][i % SUM_LANES] += error * error;
  }
}

INLINE double add_sums(const vsums *sums) {
  double total = 0;
  for (int i = 0; i < SUMS; i++) total += sums[i / SUM_LANES][i % SUM_LANES];
  return total;
}

static void measure_rows(const quern_type *type, const quern_type *source_type, const uint8_t *source, const uint8_t *quantized,
                         int64_t rows, int64_t columns, double *squared_weights, double *squared_errors) {
  for (int64_t row = 0; row < rows; row++) {
    row_sums sums = {0};
    for (int64_t done = 0; done < columns; done += MEASURE_CHUNK) {
      float weights[MEASURE_CHUNK], restored[MEASURE_CHUNK];
      int64_t at = row * columns + done, count = columns - done < MEASURE_CHUNK ? columns - done : MEASURE_CHUNK;
      source_type->dequantize(source + at / source_type->block_size * source_type->type_size, weights,
                              count / source_type->block_size);
      type->dequantize(quantized + at / type->block_size * type->type_size, restored, count / type->block_size);
      measure_elements(weights, restored, count, &sums);
    }
    squared_weights[row] = add_sums(sums.weights);
    squared_errors[row] = add_sums(sums.errors);
  }
}

#endif
