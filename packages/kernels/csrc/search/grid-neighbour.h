// The search for the neighbour of a cell (grids/grid.h, eight dimensions) with the smallest weighted squared error, where levels
// 0, 1 and 2 stand for 1, 3 and 5 times a scale: iq2_find_best_neighbour of ggml-quants.c (llama.cpp v0.5.0).
//
// Each lane has a neighbour of its own, so that errors are added up in the order of the elements. Of what is added to them, there
// are only three values for each element. Each quarter of a vector searches for another group of weights.
#ifndef QUERN_SEARCH_GRID_NEIGHBOUR_H
#define QUERN_SEARCH_GRID_NEIGHBOUR_H

#include "grids/grid.h"
#include "grids/level-tables.h"
#include "search/lanes.h"

enum { GROUP = 8 };

// A group in memory: its first four values, their weights, the other values, their weights.
enum { NEIGHBOUR_ROW = 2 * GROUP };

// What QUARTERS searches need.
typedef struct {
  const float *row[QUARTERS];
  const float *scale[QUARTERS];
  const uint16_t *list[QUARTERS];
} neighbour_search;

// The errors of each element at each level.
INLINE void neighbour_tables(const neighbour_search *search, level_table *tables) {
  vf scale = vsplat_quarters(search->scale);
  for (int half = 0; half < 2; half++) {
    vf x = vload_quarters(search->row, half * 8), weights = vload_quarters(search->row, half * 8 + 4), errors[3];
    for (int level = 0; level < 3; level++) {
      vf difference = scale * (float)(2 * level + 1) - x;
      errors[level] = weights * difference * difference;
    }
    level_tables_of(errors[0], errors[1], errors[2], tables + half * 4);
  }
}

// The first code of a list that is one of several.
NOINLINE uint16_t first_of(const uint16_t *list, const int32_t *codes, uint32_t lanes) {
  for (;; list++) {
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
      if (codes[__builtin_ctz(left)] == *list) return *list;
    }
  }
}

// The best codes of lists that are 4 * steps long; where all errors overflow, the first one.
INLINE void best_neighbours(const neighbour_search *search, int steps, uint16_t *codes) {
  level_table tables[GROUP];
  neighbour_tables(search, tables);
  vf best = vsplat(3.40282347e+38f);
  vi found = vload_u16_quarters(search->list, 0);
  for (int step = 0; step < steps; step++) {
    vi neighbours = vload_u16_quarters(search->list, 4 * step);
    level_codes levels = level_codes_of(neighbours);
    vf error = level_value(tables[0], levels, 0);
#pragma GCC unroll 8
    for (int i = 1; i < GROUP; i++) error += level_value(tables[i], levels, i);
    found = vselect_int(vlt(error, best), neighbours, found);
    best = vmin(error, best);
  }

  // Of equal ones, the first in the list counts.
  vm winning = veq(best, vsmallest_of_quarters(best));
  uint32_t lanes = vmask_bits(winning);
  if (steps == 1) {
    for (int q = 0; q < QUARTERS; q++) codes[q] = search->list[q][__builtin_ctz(lanes >> 4 * q)];
    return;
  }
  int32_t winners[VEC_LANES];
  const uint32_t ones = 0x1111 & ((1u << VEC_LANES) - 1);
  if (__builtin_expect((lanes & (lanes - ones)) != 0, 0)) {
    vstore((float *)winners, (vf)found);
    for (int q = 0; q < QUARTERS; q++) codes[q] = first_of(search->list[q], winners + 4 * q, lanes >> 4 * q & 15);
    return;
  }
  vstore((float *)winners, (vf)vany_of_quarters(vselect_int(winning, found, vsplat_int(0))));
  for (int q = 0; q < QUARTERS; q++) codes[q] = (uint16_t)winners[4 * q];
}

#endif
