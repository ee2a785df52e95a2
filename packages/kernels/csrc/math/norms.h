// rmsNorm, layerNorm. Numbers: rows, columns, epsilon. Arrays: x, y, weight or none, bias or none (float).
#ifndef QUERN_MATH_NORMS_H
#define QUERN_MATH_NORMS_H

#include "math/operation.h"
#include "math/sums.h"

// y = (x - mean) * factor * weight + bias
INLINE void normalize(const float *x, float *y, int64_t columns, float mean, float factor, const float *weight, const float *bias) {
  for (int64_t i = 0; i < columns; i++) {
    float value = (x[i] - mean) * factor;
    if (weight) value *= weight[i];
    if (bias) value += bias[i];
    y[i] = value;
  }
}

static double run_rms_norm(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1];
  const float *x = call->arrays[0];
  float *y = call->arrays[1];
  for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
    double mean = sum_squares(x, columns, 0) / (double)columns;
    normalize(x, y, columns, 0, (float)(1 / __builtin_sqrt(mean + call->numbers[2])), call->arrays[2], NULL);
  }
  return 0;
}

static double run_layer_norm(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1];
  const float *x = call->arrays[0];
  float *y = call->arrays[1];
  for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
    float mean = (float)(sum_row(x, columns) / (double)columns);
    double variance = sum_squares(x, columns, (double)mean) / (double)columns;
    normalize(x, y, columns, mean, (float)(1 / __builtin_sqrt(variance + call->numbers[2])), call->arrays[2], call->arrays[3]);
  }
  return 0;
}

#endif
