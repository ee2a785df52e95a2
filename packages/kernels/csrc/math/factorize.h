// Cholesky factorizations by halves, in F64, or with products that count as F32 (gemm-mixed.h).
#ifndef QUERN_MATH_FACTORIZE_H
#define QUERN_MATH_FACTORIZE_H

#include "math/gemm-mixed.h"
#include "math/triangular.h"

// Rows that are solved together: they do not wait for each other.
enum { TOGETHER = 4 };

// Of what the diagonal was, a pivot that is less than this share has lost its accuracy where products are F32: it is a difference of
// sums whose elements are off by some 2^-24 of what they are made of.
static const double LEAST_SHARE = 0x1p-12;

typedef struct {
  bool as_floats;
  int64_t stride;      // of the matrix, to which all operands belong
  const double *least; // what pivots must be larger than
  uint8_t *panels;
} factoring;

// c -= a b^T: `rows` rows of a, `columns` of b, of `depth` elements each.
static void subtract_rows_product(const factoring *f, const double *a, const double *b, int64_t rows, int64_t columns, int64_t depth,
                                  double *c) {
  if (f->as_floats) {
    subtract_mixed_product(&(mixed_product){a, b, f->stride, rows, columns, depth, c, false}, (float *)f->panels);
  } else {
    subtract_product((matrix_f64){a, f->stride, false}, (matrix_f64){b, f->stride, true}, rows, columns, depth, c, f->stride,
                     (double *)f->panels);
  }
}

// b := b l^-T, for b of `rows` rows.
static void solve_right_transposed(const factoring *f, const double *l, int64_t n, double *b, int64_t rows) {
  int64_t stride = f->stride;
  if (n > DIRECT) {
    int64_t half = half_of(n);
    solve_right_transposed(f, l, half, b, rows);
    subtract_rows_product(f, b, l + half * stride, rows, n - half, half, b + half);
    solve_right_transposed(f, l + half * stride + half, n - half, b + half, rows);
    return;
  }
  double columns[DIRECT][DIRECT] = {0};
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < i; j++) columns[j][i] = l[i * stride + j];
  }
  for (int64_t row = 0; row < rows; row += TOGETHER, b += TOGETHER * stride) {
    int64_t count = rows - row < TOGETHER ? rows - row : TOGETHER;
    double some[TOGETHER][DIRECT] = {0};
    for (int64_t r = 0; r < count; r++) {
      for (int64_t j = 0; j < n; j++) some[r][j] = b[r * stride + j];
    }
    for (int64_t k = 0; k < n; k++) {
      double x[TOGETHER], divisor = l[k * stride + k];
      for (int r = 0; r < TOGETHER; r++) x[r] = some[r][k] / divisor;
      // Up to column k nothing is subtracted.
      for (int64_t j = k / VEC_LANES_F64 * VEC_LANES_F64; j < DIRECT; j += VEC_LANES_F64) {
        vd column = vload_f64(columns[k] + j);
        for (int r = 0; r < TOGETHER; r++) vstore_f64(some[r] + j, vload_f64(some[r] + j) - vsplat_f64(x[r]) * column);
      }
      for (int r = 0; r < TOGETHER; r++) some[r][k] = x[r];
    }
    for (int64_t r = 0; r < count; r++) {
      for (int64_t j = 0; j < n; j++) b[r * stride + j] = some[r][j];
    }
  }
}

// c -= a a^T for n rows of a; above the diagonal, c is of no use afterwards.
static void subtract_gram(const factoring *f, const double *a, int64_t n, int64_t depth, double *c) {
  if (f->as_floats) {
    subtract_mixed_product(&(mixed_product){a, a, f->stride, n, n, depth, c, true}, (float *)f->panels);
    return;
  }
  if (n <= 2 * DIRECT) {
    subtract_rows_product(f, a, a, n, n, depth, c);
    return;
  }
  int64_t half = half_of(n);
  const double *rest = a + half * f->stride;
  subtract_gram(f, a, half, depth, c);
  subtract_rows_product(f, rest, a, n - half, half, depth, c + half * f->stride);
  subtract_gram(f, rest, n - half, depth, c + half * f->stride + half);
}

// The lower triangle of n rows from `first` on becomes that of L; above, nothing of use is left.
static int64_t factorize_rows(const factoring *f, double *a, int64_t first, int64_t n) {
  int64_t stride = f->stride;
  if (n > DIRECT) {
    int64_t half = half_of(n), bad = factorize_rows(f, a, first, half);
    if (bad >= 0) return bad;
    double *corner = a + half * stride, *rest = corner + half;
    solve_right_transposed(f, a, half, corner, n - half);
    subtract_gram(f, corner, n - half, half, rest);
    return factorize_rows(f, rest, first + half, n - half);
  }
  for (int64_t k = 0; k < n; k++) {
    double pivot = a[k * stride + k], column[DIRECT];
    if (!(pivot > f->least[first + k] && pivot < __builtin_inf())) return first + k;
    double root = __builtin_sqrt(pivot);
    a[k * stride + k] = root;
    for (int64_t i = k + 1; i < n; i++) {
      column[i] = a[i * stride + k] / root;
      a[i * stride + k] = column[i];
      for (int64_t j = k + 1; j <= i; j++) a[i * stride + j] -= column[i] * column[j];
    }
  }
  return -1;
}

static int64_t scratch_of_factor(const double *numbers) {
  int64_t floats = PANEL_BYTES_f32, doubles = PANEL_BYTES_f64;
  return ALIGNED_BYTES((int64_t)numbers[0] * (int64_t)sizeof(double)) + (floats > doubles ? floats : doubles);
}

// L of a matrix of n x n. Returns the index of the first pivot that will not do, or -1. scratch: as scratch_of_factor says.
static int64_t factorize(double *matrix, int64_t n, bool as_floats, uint8_t *scratch) {
  double *least = (double *)scratch;
  for (int64_t i = 0; i < n; i++) least[i] = as_floats ? LEAST_SHARE * matrix[i * n + i] : 0;
  uint8_t *panels = scratch + ALIGNED_BYTES(n * (int64_t)sizeof(double));
  factoring f = {as_floats, n, least, panels};
  return factorize_rows(&f, matrix, 0, n);
}

#endif
