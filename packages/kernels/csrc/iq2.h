// What IQ2_XXS, IQ2_XS and IQ2_S share: sub-blocks of 32 or 16 weights with a 4-bit scale each, in which every group of 8 weights
// is a point of a codebook and 8 signs, value = d * (2 * scale code + 1) * sign * (1, 3 or 5, nearly).
//
// The search is that of quantize_row_iq2_xxs_impl, quantize_row_iq2_xs_impl and quantize_row_iq2_s_impl of ggml-quants.c
// (llama.cpp v0.5.0): attempts with different scales round every group to a point, or to the best of its cell's neighbours.
#ifndef QUERN_IQ2_H
#define QUERN_IQ2_H

#include "iq2-attempts.h"

enum { GROUPS_PER_SUPER_BLOCK = SUPER_BLOCK / GROUP };

// Results for the sub-blocks of a batch in order, padded to whole groups of lanes.
typedef struct {
  float scale[BATCH * SUB_BLOCKS];
  uint16_t point[BATCH * GROUPS_PER_SUPER_BLOCK];
  uint8_t signs[BATCH * GROUPS_PER_SUPER_BLOCK];
} iq2_fits;

// Weighted sums for the fit of a scale.
NOINLINE void iq2_sum(int count, const iq2_tile *tile, const vi *codes, vf *code_x, vf *code_squared) {
  level_table tables[4];
  level_tables_of(vsplat(1), vsplat(3), vsplat(5), tables);
  EACH_STREAM code_x[s] = code_squared[s] = (vf){0};
  for (int k = 0; k < count / GROUP; k++) {
    level_codes group[STREAMS];
    EACH_STREAM group[s] = level_codes_of(codes[s * count / GROUP + k]);
#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) EACH_STREAM {
      int at = s * count + k * GROUP + i;
      vf code = level_value(tables[0], group[s], i);
      code_x[s] += tile->weighted_x[at] * code;
      code_squared[s] += tile->weights[at] * code * code;
    }
  }
}

// ---- The search

// Tries inverse scales around 5 / extent, in tenths, `attempts` to both sides. Then rounds once more with the scale found, either
// all groups or (`moved_only`) those that are not what they were rounded to. scale and codes are of what to take if no attempt is
// any good; lanes without an extent above 0 are of no use.
NOINLINE void iq2_search(int count, int attempts, bool moved_only, const quern_grid *grid, const iq2_tile *tile, const vf *extent,
                       vf *scale, vi *codes) {
  const int groups = count / GROUP;
  const vf zero = {0};
  vf best[STREAMS] = {0}, code_x[STREAMS], code_squared[STREAMS];
  vi found[STREAMS * MOST_GROUPS];
  vm moved[STREAMS * MOST_GROUPS], any[STREAMS];
  iq2_attempts all;
  for (int attempt = 0; attempt <= 2 * attempts; attempt++) {
    float width = 5 + (float)(attempt - attempts) * 0.1f;
    EACH_STREAM iq2_attempt(&all, attempt, s, groups, width / extent[s], 1 / (width / extent[s]));
  }
  iq2_margins(count, 2 * attempts + 1, tile, &all);
  iq2_round_all(count, 2 * attempts + 1, tile, &all);
  iq2_find_points(count, 2 * attempts + 1, grid, tile, &all);

  for (int g = 0; g < STREAMS * groups; g++) moved[g] = vlt(zero, zero);
  for (int attempt = 0; attempt <= 2 * attempts; attempt++) {
    iq2_found(&all, attempt, groups, found);
    iq2_sum(count, tile, found, code_x, code_squared);
    EACH_STREAM {
      vm better = vgt(code_squared[s], zero) & vgt(code_x[s] * code_x[s], best[s] * code_squared[s]);
      scale[s] = vselect(better, code_x[s] / code_squared[s], scale[s]);
      best[s] = vselect(better, scale[s] * code_x[s], best[s]);
      for (int g = s * groups; g < (s + 1) * groups; g++) {
        codes[g] = vselect_int(better, found[g], codes[g]);
        moved[g] = (better & iq2_moved(&all, attempt * STREAMS * groups + g)) | (vmask_not(better) & moved[g]);
      }
    }
  }

  EACH_STREAM {
    vm positive = vgt(scale[s], zero);
    vf usable = vselect(positive, scale[s], vsplat(1));
    iq2_attempt(&all, 0, s, groups, 1 / usable, usable);
    any[s] = vlt(zero, zero);
    for (int g = s * groups; g < (s + 1) * groups; g++) {
      moved[g] = moved_only ? moved[g] & positive : positive;
      any[s] |= moved[g];
    }
  }
  iq2_round_all(count, 1, tile, &all);
  // One attempt, at which others have no run.
  for (int g = 0; g < STREAMS * groups; g++) {
    vstore((float *)(all.starts + g * VEC_LANES), (vf)vselect_int(moved[g], vsplat_int(1), vsplat_int(0)));
  }
  iq2_find_points(count, 1, grid, tile, &all);
  iq2_found(&all, 0, groups, found);
  for (int g = 0; g < STREAMS * groups; g++) codes[g] = vselect_int(moved[g], found[g], codes[g]);
  iq2_sum(count, tile, codes, code_x, code_squared);
  EACH_STREAM scale[s] = vselect(any[s] & vgt(code_squared[s], zero), code_x[s] / code_squared[s], scale[s]);
}

// ---- Out of lanes

// Blocks first, first + 1, ... of a batch. A scale below 0 changes its sign, and so do all weights.
NOINLINE void iq2_store(int count, bool even, const quern_grid *grid, const iq2_tile *tile, const vm *empty, const vf *scale,
                      const vi *codes, int first, iq2_fits *fits) {
  const int groups = count / GROUP;
  EACH_STREAM {
    vm negative = vlt(scale[s], vsplat(0));
    vstore(fits->scale + first + s * VEC_LANES, vselect(empty[s], vsplat(0), vabs(scale[s])));
    for (int k = 0; k < groups; k++) {
      int g = s * groups + k;
      vi cell = {0}, signs = tile->signs[g];
      for (int i = GROUP - 1; i >= 0; i--) cell = cell + cell + cell + (codes[g] >> 2 * i & 3);
      cell = vselect_int(empty[s], vsplat_int(0), cell);
      signs = vselect_int(negative, signs ^ (even ? 127 : 255), signs);
      signs = vselect_int(empty[s], vsplat_int(0), signs);
      for (int lane = 0; lane < VEC_LANES; lane++) {
        int at = (first + s * VEC_LANES + lane) * groups + k;
        fits->point[at] = (uint16_t)grid_point(grid->cells[cell[lane]]);
        fits->signs[at] = (uint8_t)signs[lane];
      }
    }
  }
}

// The search of IQ2_XS and IQ2_S: sub-blocks of 16, without those whose x are below `threshold`.
NOINLINE void iq2_fit_16(const super_block_batch *batch, bool even, float threshold, const quern_grid *grid, const float *weights,
                       iq2_fits *fits) {
  int last = batch->count * 16 - 1;
  for (int first = 0; first <= last; first += LANE_BLOCKS) {
    iq2_tile tile;
    vf scale[STREAMS], extent[STREAMS];
    vi codes[STREAMS * 2] = {0};
    vm empty[STREAMS];
    iq2_load(16, even, batch->source, weights, first, last, &tile);
    EACH_STREAM {
      empty[s] = vlt(tile.largest[s], vsplat(threshold));
      extent[s] = vselect(empty[s], vsplat(1), tile.largest[s]);
      scale[s] = extent[s] / 5;
    }
    iq2_search(16, 9, true, grid, &tile, extent, scale, codes);
    iq2_store(16, even, grid, &tile, empty, scale, codes, first, fits);
  }
}

#endif
