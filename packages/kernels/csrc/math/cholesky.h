// Positive definite matrices in F64, n x n: cholesky, choleskyOfInverse, invert, solve, and mirror.
// Numbers: n; solve also has the columns of b, cholesky whether products count as F32. Arrays: the matrix (double); solve also has b (double).
// Factorizations return the index of the first pivot that is not positive and finite, or -1.
#ifndef QUERN_MATH_CHOLESKY_H
#define QUERN_MATH_CHOLESKY_H

#include "math/factorize.h"
#include "math/operation.h"

static void clear_above(double *matrix, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = i + 1; j < n; j++) matrix[i * n + j] = 0;
  }
}

// The lower triangle to the upper one, in squares that fit in the cache.
static void mirror(double *matrix, int64_t n) {
  enum { SQUARE = 32 };
  for (int64_t row = 0; row < n; row += SQUARE) {
    for (int64_t column = 0; column <= row; column += SQUARE) {
      for (int64_t i = row; i < row + SQUARE && i < n; i++) {
        for (int64_t j = column; j < column + SQUARE && j < i; j++) matrix[j * n + i] = matrix[i * n + j];
      }
    }
  }
}

// Both rows and columns in reverse order.
static void reverse(double *matrix, int64_t n) {
  double *low = matrix, *high = matrix + n * n;
  while (low < high) {
    double value = *low;
    *low++ = *--high;
    *high = value;
  }
}

static double run_cholesky(const quern_call *call) {
  int64_t n = (int64_t)call->numbers[0];
  int64_t bad = factorize(call->arrays[0], n, call->numbers[1] != 0, call->scratch);
  if (bad < 0) clear_above(call->arrays[0], n);
  return (double)bad;
}

// With the order reversed (J, which is its own inverse), J A J = L L^T gives A^-1 = U^T U for U = J L^-1 J, which is upper triangular:
// one factorization and the inverse of one triangle.
static double run_cholesky_of_inverse(const quern_call *call) {
  int64_t n = (int64_t)call->numbers[0];
  double *matrix = call->arrays[0], *panels = (double *)call->scratch;
  mirror(matrix, n);
  reverse(matrix, n);
  int64_t bad = factorize(matrix, n, false, call->scratch);
  if (bad >= 0) return (double)(n - 1 - bad);
  invert_triangle(matrix, n, n, panels);
  clear_above(matrix, n);
  reverse(matrix, n);
  return -1;
}

static int64_t scratch_of_invert(const double *numbers) {
  int64_t factoring = scratch_of_factor(numbers), stripe = STRIPE * (int64_t)numbers[0] * (int64_t)sizeof(double);
  return factoring > ALIGNED_BYTES(PANEL_BYTES_f64) + stripe ? factoring : ALIGNED_BYTES(PANEL_BYTES_f64) + stripe;
}

// L^-T L^-1 by groups of rows, in place: rows of the product depend on no rows of L^-1 above them.
static double run_invert(const quern_call *call) {
  int64_t n = (int64_t)call->numbers[0];
  double *matrix = call->arrays[0], *panels = (double *)call->scratch;
  double *stripe = (double *)(call->scratch + ALIGNED_BYTES(PANEL_BYTES_f64));
  int64_t bad = factorize(matrix, n, false, call->scratch);
  if (bad >= 0) return (double)bad;
  invert_triangle(matrix, n, n, panels);
  clear_above(matrix, n);
  for (int64_t row = 0; row < n; row += STRIPE) {
    int64_t rows = n - row < STRIPE ? n - row : STRIPE, columns = row + rows;
    matrix_f64 below = {matrix + row * n + row, n, true}, all = {matrix + row * n, n, false};
    product_of(below, all, rows, columns, n - row, 1, false, stripe, columns, panels);
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j <= row + i; j++) matrix[(row + i) * n + j] = stripe[i * columns + j];
    }
  }
  mirror(matrix, n);
  return -1;
}

static double run_solve(const quern_call *call) {
  int64_t n = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1];
  double *panels = (double *)call->scratch;
  solve_left(call->arrays[0], n, n, call->arrays[1], columns, columns, panels);
  solve_left_transposed(call->arrays[0], n, n, call->arrays[1], columns, columns, panels);
  return 0;
}

static int64_t no_scratch(const double *numbers) {
  (void)numbers;
  return 0;
}

static double run_mirror(const quern_call *call) {
  mirror(call->arrays[0], (int64_t)call->numbers[0]);
  return 0;
}

#endif
