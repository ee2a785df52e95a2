// Operations on all rows of some columns. Nothing is fused: all instruction sets agree to the bit.
//
// rowProducts: the sum of a * b over each row, in F64. Numbers: rows, columns, strides of a and b. Arrays: a, b (float), sums (double).
// addScaledRows: y += alpha * x, with an alpha for each row. Numbers: rows, columns, strides of x and y. Arrays: x, y, alphas (float).
// updateDifferences: c = a - b. Numbers: rows, columns, strides of a, b, c and changes. Arrays: a, b, c, changes of c (float, may be left out).
// gatherColumns: column order[j] of x becomes column j of y. Numbers: rows, columns, strides of x and y, bytes of an element (1 or 4).
// Arrays: x, y, order (int32).
#ifndef QUERN_MATH_PARTS_H
#define QUERN_MATH_PARTS_H

#include "math/operation.h"
#include "math/sums.h"

static double run_row_products(const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], columns = (int64_t)n[1], a_stride = (int64_t)n[2], b_stride = (int64_t)n[3];
  const float *a = call->arrays[0], *b = call->arrays[1];
  double *sums = call->arrays[2];
  for (int64_t row = 0; row < rows; row++) sums[row] = sum_of_products(a + row * a_stride, b + row * b_stride, columns);
  return 0;
}

static double run_add_scaled_rows(const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], columns = (int64_t)n[1], x_stride = (int64_t)n[2], y_stride = (int64_t)n[3];
  const float *alphas = call->arrays[2];
  for (int64_t row = 0; row < rows; row++) {
    const float *x = (const float *)call->arrays[0] + row * x_stride;
    float *y = (float *)call->arrays[1] + row * y_stride, alpha = alphas[row];
    if (alpha == 0) continue;
    for (int64_t i = 0; i < columns; i++) y[i] += alpha * x[i];
  }
  return 0;
}

static double run_update_differences(const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], columns = (int64_t)n[1];
  for (int64_t row = 0; row < rows; row++) {
    const float *a = (const float *)call->arrays[0] + row * (int64_t)n[2], *b = (const float *)call->arrays[1] + row * (int64_t)n[3];
    float *c = (float *)call->arrays[2] + row * (int64_t)n[4];
    if (call->arrays[3]) {
      float *changes = (float *)call->arrays[3] + row * (int64_t)n[5];
      for (int64_t i = 0; i < columns; i++) changes[i] = a[i] - b[i] - c[i];
    }
    for (int64_t i = 0; i < columns; i++) c[i] = a[i] - b[i];
  }
  return 0;
}

static double run_gather_columns(const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], columns = (int64_t)n[1], x_stride = (int64_t)n[2], y_stride = (int64_t)n[3];
  const int32_t *order = call->arrays[2];
  for (int64_t row = 0; row < rows; row++) {
    if (n[4] == 1) {
      const uint8_t *x = (const uint8_t *)call->arrays[0] + row * x_stride;
      uint8_t *y = (uint8_t *)call->arrays[1] + row * y_stride;
      for (int64_t j = 0; j < columns; j++) y[j] = x[order[j]];
    } else {
      const float *x = (const float *)call->arrays[0] + row * x_stride;
      float *y = (float *)call->arrays[1] + row * y_stride;
      for (int64_t j = 0; j < columns; j++) y[j] = x[order[j]];
    }
  }
  return 0;
}

#endif
