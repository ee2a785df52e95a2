// The 16 values of IQ4_NL and IQ4_XS (kvalues_iq4nl of ggml-common.h, llama.cpp v0.5.0), and which are nearest to a number.
#ifndef QUERN_IQ4_VALUES_H
#define QUERN_IQ4_VALUES_H

#include "lookup.h"

#define IQ4_LOWEST -127
// As many as a vtable takes.
static const int8_t IQ4_VALUES[32] = {IQ4_LOWEST, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Numbers below this are nearer to the lower of two values; close to it, both differences are exact.
#define IQ4_THRESHOLD(lower, upper) (((lower) + (upper)) * 0.5f)

// Code of the nearest value as best_index_int8 of ggml-quants.c finds it, so 15 for NaN.
INLINE vi iq4_nearest(vf x) {
  vi above = {0};
#pragma GCC unroll 16
  for (int i = 0; i < 15; i++) above = vcount(above, vlt(x, vsplat(IQ4_THRESHOLD(IQ4_VALUES[i], IQ4_VALUES[i + 1]))));
  return 15 - above;
}

// ---- Two values one of which is nearest, without a search
//
// Numbers of magnitude up to 134 fall into cells: |x / IQ4_CELL - i| <= 1/2. A cell has the values on both sides of the threshold
// t for which one of its numbers is between t and t * 134/120, or its only value twice. There is never a choice, since the
// intervals from t to t * 134/120 are more than a cell apart, and they end at least 0.1 cells from those that they are not in.
// So x * f is nearest to one of the two values of the cell of x for all f from 120/134 to 1.

#define IQ4_CELL 9

// Cells 0 ... 15, then -16 ... -1.
static const int8_t IQ4_LOWER[32] = {-10,  1,    13,   25,   25,   38,   38,   53,   53,  69,  69,  89,  89,  89,  113, 113,
                                     -127, -127, -127, -127, -104, -104, -104, -83, -83, -65, -65, -49, -35, -35, -22, -10};
static const int8_t IQ4_UPPER[32] = {1,    13,   25,   38,   38,  53,  53,  69,  69,  89,  89,  113, 113, 113, 113, 113,
                                     -127, -127, -104, -104, -83, -83, -83, -65, -65, -49, -49, -35, -22, -22, -10, 1};

typedef struct {
  vtable lower, upper;
} iq4_cells;

INLINE iq4_cells iq4_load_cells(void) { return (iq4_cells){vtable_of(IQ4_LOWER), vtable_of(IQ4_UPPER)}; }

INLINE void iq4_neighbours(const iq4_cells *cells, vf x, vf *lower, vf *upper) {
  vi cell = (vi)(x * (1.0f / IQ4_CELL) + ROUND_MAGIC);
  *lower = vlook_up(&cells->lower, cell);
  *upper = vlook_up(&cells->upper, cell);
}

#endif
