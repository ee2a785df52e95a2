// The search for the neighbour of a cell (grids/grid.h, eight dimensions) with the smallest weighted squared error, where levels
// 0, 1 and 2 stand for 1, 3 and 5 times a scale: iq2_find_best_neighbour of ggml-quants.c (llama.cpp v0.5.0).
//
// Each lane has a neighbour of its own, so errors are added up in the order of the elements. Of what is added to them, there are
// only three values for each element.
#ifndef QUERN_SEARCH_GRID_NEIGHBOUR_H
#define QUERN_SEARCH_GRID_NEIGHBOUR_H

#include "grids/grid.h"
#include "grids/level-tables.h"
#include "search/lanes.h"

enum { GROUP = 8 };

// Eight floats on every instruction set.
typedef float vf8 __attribute__((vector_size(32)));
typedef float vf8_memory __attribute__((vector_size(32), aligned(4), may_alias));
#define V8_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

// Where group_errors keeps the values of an element: four floats from this on.
INLINE const float *values_of_element(const float *values, int element) { return values + element % 4 * 8 + element / 4 * 4; }

// The errors of each element at each level, 4 x 8 floats.
INLINE void group_errors(const float *x, const float *weights, float scale, float *values) {
  vf8 x8 = *(const vf8_memory *)x, weights8 = *(const vf8_memory *)weights;
  vf8 error[3];
  for (int level = 0; level < 3; level++) {
    vf8 difference = scale * (float)(2 * level + 1) - x8;
    error[level] = weights8 * difference * difference;
  }
  // Transposes 4 x 4 twice.
  vf8 a = V8_SHUFFLE(error[0], error[1], 0, 8, 1, 9, 4, 12, 5, 13), b = V8_SHUFFLE(error[0], error[1], 2, 10, 3, 11, 6, 14, 7, 15);
  vf8 c = V8_SHUFFLE(error[2], error[2], 0, 8, 1, 9, 4, 12, 5, 13), d = V8_SHUFFLE(error[2], error[2], 2, 10, 3, 11, 6, 14, 7, 15);
  *(vf8_memory *)values = V8_SHUFFLE(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
  *(vf8_memory *)(values + 8) = V8_SHUFFLE(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
  *(vf8_memory *)(values + 16) = V8_SHUFFLE(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
  *(vf8_memory *)(values + 24) = V8_SHUFFLE(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
}

// The best code of a list; where all errors overflow, the first one.
INLINE uint32_t best_neighbour(const uint16_t *list, uint32_t length, const float *x, const float *weights, float scale) {
  float values[GROUP * 4];
  group_errors(x, weights, scale, values);
  level_table tables[GROUP];
  for (int i = 0; i < GROUP; i++) tables[i] = level_table_load(values_of_element(values, i));

  vf best = vsplat(3.40282347e+38f);
  vi from = {0};
  for (uint32_t first = 0; first < length; first += VEC_LANES) {
    level_codes codes = level_codes_of(vload_u16((const uint8_t *)(list + first)));
    vf error = level_value(tables[0], codes, 0);
#pragma GCC unroll 8
    for (int i = 1; i < GROUP; i++) error += level_value(tables[i], codes, i);
    vm better = vlt(error, best);
    best = vselect(better, error, best);
    from = vselect_int(better, vsplat_int((int32_t)first), from);
  }

  uint32_t lanes = vmask_bits(veq(best, vsmallest(best)));
  int32_t starts[VEC_LANES];
  vstore((float *)starts, (vf)from);
  int lane = __builtin_ctz(lanes);
  int32_t at = starts[lane] + lane;
  // Of equal ones, the first in the list counts.
  while (__builtin_expect((lanes &= lanes - 1) != 0, 0)) {
    lane = __builtin_ctz(lanes);
    if (starts[lane] + lane < at) at = starts[lane] + lane;
  }
  return list[at];
}

#endif
