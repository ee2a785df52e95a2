// Systems of equations with a lower triangular matrix l of n rows, and its inverse, in F64. Halves are solved recursively: nearly all
// work is in products of matrices (Elmroth, Gustavson, Jonsson and Kagstrom, "Recursive Blocked Algorithms and Hybrid Data
// Structures for Dense Matrix Library Software", SIAM Review 46(1), 2004).
#ifndef QUERN_MATH_TRIANGULAR_H
#define QUERN_MATH_TRIANGULAR_H

#include "math/gemm-f64.h"

// Rows of triangles that are solved directly, and columns that are worked on at a time.
enum { DIRECT = 64, STRIPE = 128 };

// The rows of the first part: a multiple of DIRECT.
INLINE int64_t half_of(int64_t n) { return (n / 2 + DIRECT - 1) / DIRECT * DIRECT; }

// c -= a * b
static void subtract_product(matrix_f64 a, matrix_f64 b, int64_t rows, int64_t columns, int64_t depth, double *c, int64_t stride,
                             double *panels) {
  product_of(a, b, rows, columns, depth, -1, true, c, stride, panels);
}

// b := b l^-1, for b of `rows` rows.
static void solve_right(const double *l, int64_t n, int64_t stride, double *b, int64_t rows, int64_t b_stride, double *panels) {
  if (n > DIRECT) {
    int64_t half = half_of(n);
    solve_right(l + half * stride + half, n - half, stride, b + half, rows, b_stride, panels);
    subtract_product((matrix_f64){b + half, b_stride, false}, (matrix_f64){l + half * stride, stride, false}, rows, half, n - half,
                     b, b_stride, panels);
    solve_right(l, half, stride, b, rows, b_stride, panels);
    return;
  }
  for (int64_t row = 0; row < rows; row++, b += b_stride) {
    for (int64_t k = n - 1; k >= 0; k--) {
      double x = b[k] / l[k * stride + k];
      b[k] = x;
      for (int64_t j = 0; j < k; j++) b[j] -= x * l[k * stride + j];
    }
  }
}

// target -= factor * source
INLINE void subtract_row(double factor, const double *restrict source, double *restrict target, int64_t count) {
  for (int64_t i = 0; i < count; i++) target[i] -= factor * source[i];
}

INLINE void divide_row(double divisor, double *row, int64_t count) {
  for (int64_t i = 0; i < count; i++) row[i] /= divisor;
}

// b := l^-1 b, for b of `columns` columns.
static void solve_left(const double *l, int64_t n, int64_t stride, double *b, int64_t columns, int64_t b_stride, double *panels) {
  if (n > DIRECT) {
    int64_t half = half_of(n);
    solve_left(l, half, stride, b, columns, b_stride, panels);
    subtract_product((matrix_f64){l + half * stride, stride, false}, (matrix_f64){b, b_stride, false}, n - half, columns, half,
                     b + half * b_stride, b_stride, panels);
    solve_left(l + half * stride + half, n - half, stride, b + half * b_stride, columns, b_stride, panels);
    return;
  }
  for (int64_t column = 0; column < columns; column += STRIPE) {
    int64_t count = columns - column < STRIPE ? columns - column : STRIPE;
    for (int64_t k = 0; k < n; k++) {
      double *row = b + k * b_stride + column;
      divide_row(l[k * stride + k], row, count);
      for (int64_t i = k + 1; i < n; i++) subtract_row(l[i * stride + k], row, b + i * b_stride + column, count);
    }
  }
}

// b := l^-T b, for b of `columns` columns.
static void solve_left_transposed(const double *l, int64_t n, int64_t stride, double *b, int64_t columns, int64_t b_stride,
                                  double *panels) {
  if (n > DIRECT) {
    int64_t half = half_of(n);
    solve_left_transposed(l + half * stride + half, n - half, stride, b + half * b_stride, columns, b_stride, panels);
    subtract_product((matrix_f64){l + half * stride, stride, true}, (matrix_f64){b + half * b_stride, b_stride, false}, half,
                     columns, n - half, b, b_stride, panels);
    solve_left_transposed(l, half, stride, b, columns, b_stride, panels);
    return;
  }
  for (int64_t column = 0; column < columns; column += STRIPE) {
    int64_t count = columns - column < STRIPE ? columns - column : STRIPE;
    for (int64_t k = n - 1; k >= 0; k--) {
      double *row = b + k * b_stride + column;
      divide_row(l[k * stride + k], row, count);
      for (int64_t i = 0; i < k; i++) subtract_row(l[k * stride + i], row, b + i * b_stride + column, count);
    }
  }
}

// l := l^-1. What is above the diagonal is neither read nor written.
static void invert_triangle(double *l, int64_t n, int64_t stride, double *panels) {
  if (n > DIRECT) {
    int64_t half = half_of(n);
    double *corner = l + half * stride, *rest = corner + half;
    for (int64_t row = 0; row < n - half; row++) {
      for (int64_t column = 0; column < half; column++) corner[row * stride + column] *= -1;
    }
    solve_left(rest, n - half, stride, corner, half, stride, panels);
    solve_right(l, half, stride, corner, n - half, stride, panels);
    invert_triangle(l, half, stride, panels);
    invert_triangle(rest, n - half, stride, panels);
    return;
  }
  double inverse[DIRECT][DIRECT] = {0};
  for (int64_t i = 0; i < n; i++) inverse[i][i] = 1;
  solve_left(l, n, stride, inverse[0], n, DIRECT, panels);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j <= i; j++) l[i * stride + j] = inverse[i][j];
  }
}

#endif
