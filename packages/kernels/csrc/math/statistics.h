// columnStatistics: what rows add to the sums of x, x^2 and |x| and to the largest |x| of each column.
// Numbers: rows, columns, x's stride. Arrays: x (float), sums of x, of x^2 and of |x| (double), largest |x| (float).
// magnitudeHistogram: how many magnitudes lie in each bin. Numbers: rows, columns, x's stride. Arrays: x (float), counts (double).
#ifndef QUERN_MATH_STATISTICS_H
#define QUERN_MATH_STATISTICS_H

#include "math/operation.h"
#include "math/sums.h"

// ---- Columns: each sum in F64 in the order of rows. Squares of floats are exact in F64.

typedef int64_t vlong __attribute__((vector_size(8 * VEC_LANES_F64)));

// Rows that are added to sums while these are in registers.
#define ROWS_AT_ONCE 8

// The vector of columns that begins at *x and *sum.
INLINE void add_rows_of_vector(const float *x, int64_t stride, int64_t rows, double *sum, double *squares, double *magnitudes) {
  vd total = vload_f64(sum), squared = vload_f64(squares), magnitude = vload_f64(magnitudes);
  for (int64_t row = 0; row < rows; row++) {
    vd value = __builtin_convertvector(*(const vaddends *)(x + row * stride), vd);
    total += value;
    squared += value * value;
    magnitude += (vd)((vlong)value & INT64_MAX);
  }
  vstore_f64(sum, total);
  vstore_f64(squares, squared);
  vstore_f64(magnitudes, magnitude);
}

static void add_rows(const float *x, int64_t stride, int64_t rows, int64_t columns, double *sum, double *squares,
                     double *magnitudes, float *largest) {
  int64_t column = 0;
  for (; column + VEC_LANES <= columns; column += VEC_LANES) {
    vf most = vload(largest + column);
    // NaN is not greater.
    for (int64_t row = 0; row < rows; row++) most = vmax(vabs(vload(x + row * stride + column)), most);
    vstore(largest + column, most);
    for (int64_t i = column; i < column + VEC_LANES; i += VEC_LANES_F64) {
      add_rows_of_vector(x + i, stride, rows, sum + i, squares + i, magnitudes + i);
    }
  }
  for (; column < columns; column++) {
    for (int64_t row = 0; row < rows; row++) {
      float value = x[row * stride + column], magnitude = __builtin_fabsf(value);
      sum[column] += (double)value;
      squares[column] += (double)value * (double)value;
      magnitudes[column] += (double)magnitude;
      if (magnitude > largest[column]) largest[column] = magnitude;
    }
  }
}

static double run_column_statistics(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1], stride = (int64_t)call->numbers[2];
  const float *x = call->arrays[0];
  for (int64_t row = 0; row < rows; row += ROWS_AT_ONCE, x += ROWS_AT_ONCE * stride) {
    int64_t count = rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE;
    add_rows(x, stride, count, columns, call->arrays[1], call->arrays[2], call->arrays[3], call->arrays[4]);
  }
  return 0;
}

// ---- Bins: exponent and the upper BIN_BITS of the mantissa, from 2^LOWEST_OCTAVE on. src/math/statistics.ts knows them, too.

enum { BIN_BITS = 5, LOWEST_OCTAVE = -40, OCTAVES = 64, BINS = OCTAVES << BIN_BITS, FIRST_BIN = (127 + LOWEST_OCTAVE) << BIN_BITS };
// Neighbours often share a bin: counting them in different copies, the processor need not wait for one before the other.
enum { COPIES = 4 };

static int64_t scratch_of_histogram(const double *numbers) {
  (void)numbers;
  return COPIES * BINS * (int64_t)sizeof(uint64_t);
}

INLINE int32_t bin_of(float value) {
  int32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  int32_t bin = ((bits & INT32_MAX) >> (23 - BIN_BITS)) - FIRST_BIN;
  return bin < 0 ? 0 : bin < BINS ? bin : BINS - 1;
}

static double run_magnitude_histogram(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1], stride = (int64_t)call->numbers[2];
  const float *x = call->arrays[0];
  double *counts = call->arrays[1];
  uint64_t(*copies)[BINS] = (uint64_t(*)[BINS])call->scratch;
  __builtin_memset(copies, 0, COPIES * sizeof *copies);
  for (int64_t row = 0; row < rows; row++, x += stride) {
    int64_t column = 0;
    for (; column + VEC_LANES <= columns; column += VEC_LANES) {
      vi bins = (((vi)vload(x + column) & INT32_MAX) >> (23 - BIN_BITS)) - FIRST_BIN;
      bins = vmax_int(bins, vsplat_int(0));
      bins = vselect_int(vlt_int(bins, vsplat_int(BINS)), bins, vsplat_int(BINS - 1));
#pragma GCC unroll 16
      for (int lane = 0; lane < VEC_LANES; lane++) copies[lane % COPIES][bins[lane]]++;
    }
    for (; column < columns; column++) copies[0][bin_of(x[column])]++;
  }
  for (int bin = 0; bin < BINS; bin++) {
    for (int copy = 0; copy < COPIES; copy++) counts[bin] += (double)copies[copy][bin];
  }
  return 0;
}

#endif
