// Sums over a row in F64, in an order that is the same on every instruction set: element i is added to sum i % SUMS, and those are
// added in order.
#ifndef QUERN_MATH_SUMS_H
#define QUERN_MATH_SUMS_H

#include "math/lanes.h"

enum { SUMS = 8, SUM_VECTORS = SUMS / VEC_LANES_F64 };
typedef float vaddends __attribute__((vector_size(4 * VEC_LANES_F64), aligned(1), may_alias));

// Of the values, or of the squares of their differences from `origin`: squares of F32 differences are exact in F64 unless `origin` has
// more bits, and are rounded alike everywhere.
INLINE double sum_of_row(const float *row, int64_t count, bool squares, double origin) {
  vd sums[SUM_VECTORS] = {0};
  vd from = vsplat_f64(origin);
  int64_t done = 0;
  for (; done + SUMS <= count; done += SUMS) {
    for (int i = 0; i < SUM_VECTORS; i++) {
      vd value = __builtin_convertvector(*(const vaddends *)(row + done + i * VEC_LANES_F64), vd) - from;
      sums[i] += squares ? value * value : value;
    }
  }
  for (int i = 0; done + i < count; i++) {
    double value = (double)row[done + i] - origin;
    sums[i / VEC_LANES_F64][i % VEC_LANES_F64] += squares ? value * value : value;
  }
  double total = 0;
  for (int i = 0; i < SUMS; i++) total += sums[i / VEC_LANES_F64][i % VEC_LANES_F64];
  return total;
}

static double sum_row(const float *row, int64_t count) { return sum_of_row(row, count, false, 0); }
static double sum_squares(const float *row, int64_t count, double origin) { return sum_of_row(row, count, true, origin); }

// Products of floats are exact in F64.
INLINE double sum_of_products(const float *a, const float *b, int64_t count) {
  vd sums[SUM_VECTORS] = {0};
  int64_t done = 0;
  for (; done + SUMS <= count; done += SUMS) {
    for (int i = 0; i < SUM_VECTORS; i++) {
      vd left = __builtin_convertvector(*(const vaddends *)(a + done + i * VEC_LANES_F64), vd);
      sums[i] += left * __builtin_convertvector(*(const vaddends *)(b + done + i * VEC_LANES_F64), vd);
    }
  }
  for (int i = 0; done + i < count; i++) {
    sums[i / VEC_LANES_F64][i % VEC_LANES_F64] += (double)a[done + i] * (double)b[done + i];
  }
  double total = 0;
  for (int i = 0; i < SUMS; i++) total += sums[i / VEC_LANES_F64][i % VEC_LANES_F64];
  return total;
}

// NaN where there is one; -infinity for nothing.
static float largest_of_row(const float *row, int64_t count) {
  vf largest = vsplat(-__builtin_inff());
  vm nan = vlt((vf){0}, (vf){0});
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) {
    vf value = vload(row + i);
    largest = vmax(largest, value);
    nan |= vmask_not(veq(value, value));
  }
  float result = -__builtin_inff();
  for (int lane = 0; lane < VEC_LANES; lane++) {
    if (largest[lane] > result) result = largest[lane];
  }
  bool none = !vany(nan);
  for (; i < count; i++) {
    if (row[i] > result) result = row[i];
    none &= row[i] == row[i];
  }
  return none ? result : __builtin_nanf("");
}

#endif
