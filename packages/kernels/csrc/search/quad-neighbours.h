// What both ways to search for the neighbours of quads have in common (grids/grid.h, four dimensions): search/quad-costs.h and
// search/quad-lines.h find what iq3_find_best_neighbour of ggml-quants.c (llama.cpp v0.5.0) does, the neighbour with the smallest
// weighted squared error, where level l stands for 2 * l + 1 times a scale, for one quad at many scales.
#ifndef QUERN_SEARCH_QUAD_NEIGHBOURS_H
#define QUERN_SEARCH_QUAD_NEIGHBOURS_H

#include "grids/grid.h"
#include "search/lanes.h"

enum { QUAD = 4, QUAD_LEVELS = 8, QUAD_LARGEST_VALUE = 15, MOST_TRIES = 32, LONGEST_QUAD_LIST = 48 };
enum { QUAD_CODE = 0xfff, QUAD_NEIGHBOUR = 0x1000 };

// Twice, for vectors of 16.
static const float QUAD_VALUES[16] = {1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15};

// The values of the levels in the lowest three bits of each lane.
INLINE vf vquad_value(vi levels) {
#if VEC_LANES >= 8
  return vpermute(vload(QUAD_VALUES), levels);
#else
  return (vf)((levels << 1 & 14) | 0x4b000001) - 0x1p23f;
#endif
}

#endif
