// Sub-blocks of IQ2_XXS, IQ2_XS and IQ2_S in lanes: magnitudes, signs, weights, and each group of 8 weights as a row in memory.
#ifndef QUERN_IQ2_TILE_H
#define QUERN_IQ2_TILE_H

#include "search/grid-neighbour.h"
#include "super-blocks.h"

enum { MOST_GROUPS = LONGEST_BLOCK / GROUP };

// A group in memory: its first four values, their weights, the other values, their weights.
enum { NEIGHBOUR_ROW = 2 * GROUP };

// LANE_BLOCKS sub-blocks, one in each lane.
typedef struct {
  vf x[STREAMS * LONGEST_BLOCK]; // without signs
  vf weights[STREAMS * LONGEST_BLOCK], weighted_x[STREAMS * LONGEST_BLOCK];
  vf largest[STREAMS], magnitude[STREAMS]; // the largest x and |x|
  vi signs[STREAMS * MOST_GROUPS];         // a bit per weight of a group, lowest first
  vf roots[STREAMS * MOST_GROUPS];         // sums of the roots of the weights of each group
  // x and the roots of the weights, in the order of streams, groups and lanes.
  float rows[LANE_BLOCKS * MOST_GROUPS * NEIGHBOUR_ROW];
} iq2_tile;

// Takes the signs away. With `even`, groups have an even number of them, since the eighth is not stored: where it is odd, the
// weight that matters least keeps the wrong one, and x is below 0.
NOINLINE void iq2_split_signs(int count, bool even, iq2_tile *tile) {
  for (int g = 0; g < STREAMS * count / GROUP; g++) {
    vf *x = tile->x + g * GROUP;
    const vf *weights = tile->weights + g * GROUP;
    vi signs = {0}, parity = {0}, least = {0};
    vf smallest = weights[0] * x[0] * x[0];
    for (int i = 0; i < GROUP; i++) {
      vi negative = vone_where(vlt(x[i], vsplat(0)));
      signs |= negative << i;
      parity ^= negative;
      vf importance = weights[i] * x[i] * x[i];
      vm less = vlt(importance, smallest);
      smallest = vselect(less, importance, smallest);
      least = vselect_int(less, vsplat_int(i), least);
      x[i] = vabs(x[i]);
    }
    if (even) {
      for (int i = 0; i < GROUP; i++) {
        vi wrong = parity & vone_where(veq_int(least, vsplat_int(i)));
        x[i] = (vf)((vi)x[i] ^ wrong << 31);
        signs ^= wrong << i;
      }
      signs &= 127;
    }
    tile->signs[g] = signs;
  }
}

// Rows of one group in each lane.
NOINLINE void iq2_store_rows(const vf *x, const vf *roots, float *rows) {
  vf square[VEC_LANES];
  for (int start = 0; start < NEIGHBOUR_ROW; start += VEC_LANES) {
    for (int i = 0; i < VEC_LANES; i++) {
      int at = start + i;
      square[i] = (at / 4 % 2 ? roots : x)[at / 8 * 4 + at % 4];
    }
    vtranspose(square);
    for (int lane = 0; lane < VEC_LANES; lane++) vstore(rows + lane * NEIGHBOUR_ROW + start, square[lane]);
  }
}

NOINLINE void iq2_load(int count, bool even, const float *source, const float *weights, int first, int last, iq2_tile *tile) {
  load_lanes(tile->x, count, source, first, last);
  load_lanes(tile->weights, count, weights, first, last);
  iq2_split_signs(count, even, tile);
  EACH_STREAM {
    vf roots[LONGEST_BLOCK], largest = tile->x[s * count], magnitude = vabs(largest);
    for (int i = 0; i < count; i++) {
      int at = s * count + i;
      largest = vmax(largest, tile->x[at]);
      magnitude = vmax(magnitude, vabs(tile->x[at]));
      tile->weighted_x[at] = tile->weights[at] * tile->x[at];
      roots[i] = vsqrt(tile->weights[at]);
    }
    tile->largest[s] = largest;
    tile->magnitude[s] = magnitude;
    for (int k = 0; k < count / GROUP; k++) {
      tile->roots[s * count / GROUP + k] = sum_in_order(roots + k * GROUP, GROUP);
      float *rows = tile->rows + (s * count / GROUP + k) * VEC_LANES * NEIGHBOUR_ROW;
      iq2_store_rows(tile->x + s * count + k * GROUP, roots + k * GROUP, rows);
    }
  }
}

#endif
