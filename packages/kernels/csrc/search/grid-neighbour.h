// The search for the neighbour of a cell (grids/grid.h, eight dimensions) with the smallest weighted squared error:
// iq2_find_best_neighbour and iq1_find_best_neighbour2 of ggml-quants.c (llama.cpp v0.5.0).
//
// Each lane has a neighbour of its own, so that errors are added up in the order of the elements. Of what is added to them, there
// are only three values for each element. Each quarter of a vector searches for another group of weights.
#ifndef QUERN_SEARCH_GRID_NEIGHBOUR_H
#define QUERN_SEARCH_GRID_NEIGHBOUR_H

#include "grids/grid.h"
#include "grids/level-tables.h"
#include "search/lanes.h"

enum { GROUP = 8 };

// Searches side by side: the values of each element's error, and lists of neighbours.
typedef struct {
  level_table errors[GROUP];
  const uint16_t *list[QUARTERS];
} neighbour_search;

// The first code of a list that is one of several.
NOINLINE uint16_t first_of(const uint16_t *list, const int32_t *codes, uint32_t lanes) {
  for (;; list++) {
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
      if (codes[__builtin_ctz(left)] == *list) return *list;
    }
  }
}

// The best codes of lists that are 4 * steps long; where all errors overflow (ggml ends the process there), the first one. The
// result has bit 4 * q set if that is so for list q.
INLINE uint32_t best_neighbours(const neighbour_search *search, int steps, uint16_t *codes) {
  const level_table *tables = search->errors;
  const vf overflow = vsplat(LARGEST_FLOAT);
  vf best = overflow;
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
  vf smallest = vsmallest_of_quarters(best);
  vm winning = veq(best, smallest);
  uint32_t lanes = vmask_bits(winning), failed = vmask_bits(veq(smallest, overflow));
  if (steps == 1) {
    for (int q = 0; q < QUARTERS; q++) codes[q] = search->list[q][__builtin_ctz(lanes >> 4 * q)];
    return failed;
  }
  int32_t winners[VEC_LANES];
  const uint32_t ones = 0x1111 & ((1u << VEC_LANES) - 1);
  if (__builtin_expect((lanes & (lanes - ones)) != 0, 0)) {
    vstore((float *)winners, (vf)found);
    for (int q = 0; q < QUARTERS; q++) codes[q] = first_of(search->list[q], winners + 4 * q, lanes >> 4 * q & 15);
    return failed;
  }
  vstore((float *)winners, (vf)vany_of_quarters(vselect_int(winning, found, vsplat_int(0))));
  for (int q = 0; q < QUARTERS; q++) codes[q] = (uint16_t)winners[4 * q];
  return failed;
}

#endif
