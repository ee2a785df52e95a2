// What IQ2_XXS, IQ2_XS and IQ2_S share: sub-blocks of 32 or 16 weights with a 4-bit scale each, in which every group of 8 weights
// is a point of a codebook and 8 signs, value = d * (2 * scale code + 1) * sign * (1, 3 or 5, nearly).
//
// The search is that of quantize_row_iq2_xxs_impl, quantize_row_iq2_xs_impl and quantize_row_iq2_s_impl of ggml-quants.c
// (llama.cpp v0.5.0): attempts with different scales round every group to a point, or to the best of its cell's neighbours.
#ifndef QUERN_IQ2_H
#define QUERN_IQ2_H

#include "search/grid-neighbour.h"
#include "super-blocks.h"

enum { MOST_GROUPS = LONGEST_BLOCK / GROUP, GROUPS_PER_SUPER_BLOCK = SUPER_BLOCK / GROUP };

// LANE_BLOCKS sub-blocks, one in each lane.
typedef struct {
  vf x[STREAMS * LONGEST_BLOCK]; // without signs
  vf weights[STREAMS * LONGEST_BLOCK], weighted_x[STREAMS * LONGEST_BLOCK];
  vf largest[STREAMS], magnitude[STREAMS]; // the largest x and |x|
  vi signs[STREAMS * MOST_GROUPS];         // a bit per weight of a group, lowest first
  // Block by block, for searches of neighbours.
  float x_rows[LANE_BLOCKS * LONGEST_BLOCK], root_rows[LANE_BLOCKS * LONGEST_BLOCK]; // the latter are the weights' roots
} iq2_tile;

// Results for the sub-blocks of a batch in order, padded to whole groups of lanes.
typedef struct {
  float scale[BATCH * SUB_BLOCKS];
  uint16_t point[BATCH * GROUPS_PER_SUPER_BLOCK];
  uint8_t signs[BATCH * GROUPS_PER_SUPER_BLOCK];
} iq2_fits;

// ---- Into lanes

// Takes the signs away. With `even`, groups have an even number of them, since the eighth is not stored: where it is odd, the
// weight that matters least keeps the wrong one, and x is below 0.
INLINE void iq2_split_signs(int count, bool even, iq2_tile *tile) {
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
        vi wrong = parity & vone_where(vlt_int(least, vsplat_int(i + 1)) & vlt_int(vsplat_int(i - 1), least));
        x[i] = (vf)((vi)x[i] ^ wrong << 31);
        signs ^= wrong << i;
      }
      signs &= 127;
    }
    tile->signs[g] = signs;
  }
}

// The inverse of vload_blocks.
INLINE void store_rows(const vf *columns, int count, float *rows) {
  for (int start = 0; start < count; start += VEC_LANES) {
    vf square[VEC_LANES];
    for (int i = 0; i < VEC_LANES; i++) square[i] = columns[start + i];
    vtranspose(square);
    for (int lane = 0; lane < VEC_LANES; lane++) vstore(rows + lane * count + start, square[lane]);
  }
}

INLINE void iq2_load(int count, bool even, const float *source, const float *weights, int first, int last, iq2_tile *tile) {
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
    store_rows(tile->x + s * count, count, tile->x_rows + s * VEC_LANES * count);
    store_rows(roots, count, tile->root_rows + s * VEC_LANES * count);
  }
}

// ---- One attempt

// The levels of a group are clamp(nearest((inverse * x - 1) / 2)). As long as that is in range, it is above 2 and 4 that they
// change, inclusive of 4 since ties go to the even one.
INLINE void iq2_round(bool in_range, const vf *x, vf inverse, vi *cell, vi *code) {
  vi cells = {0}, codes = {0};
  for (int i = GROUP - 1; i >= 0; i--) {
    vf scaled = inverse * x[i];
    vi level;
    if (in_range)
      level = vone_where(vlt(vsplat(2), scaled)) + vone_where(vmask_not(vlt(scaled, vsplat(4))));
    else
      level = vtruncate(vclamp(vnearest(0.5f * (scaled - 1)), 0, 2));
    cells = cells + cells + cells + level;
    codes = codes << 2 | level;
  }
  *cell = cells;
  *code = codes;
}

NOINLINE void iq2_round_any(const vf *x, vf inverse, vi *cell, vi *code) { iq2_round(false, x, inverse, cell, code); }

// Codes of all groups for a scale and its inverse, and which are not what they were rounded to: not points.
INLINE void iq2_choose(int count, const quern_grid *grid, const iq2_tile *tile, const vf *inverse, const vf *scale, vi *codes,
                       vm *moved) {
  const int groups = count / GROUP;
  int32_t cells[STREAMS * MOST_GROUPS * VEC_LANES], chosen[STREAMS * MOST_GROUPS * VEC_LANES];
  int32_t lengths[STREAMS * MOST_GROUPS * VEC_LANES];
  float scales[LANE_BLOCKS];
  EACH_STREAM {
    vstore(scales + s * VEC_LANES, scale[s]);
    bool in_range = vall(vlt(vabs(inverse[s] * tile->magnitude[s]), vsplat(4e6f)));
    for (int k = 0; k < groups; k++) {
      int g = s * groups + k;
      vi cell, code;
      if (__builtin_expect(in_range, 1))
        iq2_round(true, tile->x + g * GROUP, inverse[s], &cell, &code);
      else
        iq2_round_any(tile->x + g * GROUP, inverse[s], &cell, &code);
      vstore((float *)(cells + g * VEC_LANES), (vf)cell);
      vstore((float *)(chosen + g * VEC_LANES), (vf)code);
    }
  }
  uint16_t search[STREAMS * MOST_GROUPS * VEC_LANES];
  int searches = 0;
  for (int i = 0; i < STREAMS * groups * VEC_LANES; i++) {
    uint32_t entry = grid->cells[cells[i]];
    cells[i] = (int32_t)entry;
    lengths[i] = (int32_t)grid_length(entry);
    search[searches] = (uint16_t)i;
    searches += !grid_is_point(entry);
  }
  for (int n = 0; n < searches; n++) {
    int i = search[n], lane = i % VEC_LANES, k = i / VEC_LANES % groups, s = i / VEC_LANES / groups;
    int block = s * VEC_LANES + lane, row = (block * groups + k) * GROUP;
    uint32_t entry = (uint32_t)cells[i];
    chosen[i] = (int32_t)best_neighbour(grid_list(grid, entry), grid_length(entry), tile->x_rows + row, tile->root_rows + row,
                                        scales[block]);
  }
  for (int g = 0; g < STREAMS * groups; g++) {
    codes[g] = (vi)vload((const float *)(chosen + g * VEC_LANES));
    moved[g] = vlt_int(vsplat_int(0), (vi)vload((const float *)(lengths + g * VEC_LANES)));
  }
}

// Weighted sums for the fit of a scale.
INLINE void iq2_sum(int count, const iq2_tile *tile, const vi *codes, vf *code_x, vf *code_squared) {
  static const float odd[4] = {1, 3, 5};
  level_table table = level_table_load(odd);
  EACH_STREAM code_x[s] = code_squared[s] = (vf){0};
  for (int k = 0; k < count / GROUP; k++) {
    level_codes group[STREAMS];
    EACH_STREAM group[s] = level_codes_of(codes[s * count / GROUP + k]);
#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) EACH_STREAM {
      int at = s * count + k * GROUP + i;
      vf code = level_value(table, group[s], i);
      code_x[s] += tile->weighted_x[at] * code;
      code_squared[s] += tile->weights[at] * code * code;
    }
  }
}

// ---- The search

// Tries inverse scales around 5 / extent, in tenths, `attempts` to both sides. Then rounds once more with the scale found, either
// all groups or (`moved_only`) those that are not what they were rounded to. scale and codes are of what to take if no attempt is
// any good; lanes without an extent above 0 are of no use.
INLINE void iq2_search(int count, int attempts, bool moved_only, const quern_grid *grid, const iq2_tile *tile, const vf *extent,
                       vf *scale, vi *codes) {
  const int groups = count / GROUP;
  const vf zero = {0};
  vf best[STREAMS] = {0}, code_x[STREAMS], code_squared[STREAMS], inverse[STREAMS], attempted[STREAMS];
  vi found[STREAMS * MOST_GROUPS];
  vm moved[STREAMS * MOST_GROUPS], redo[STREAMS * MOST_GROUPS], any[STREAMS];
  for (int g = 0; g < STREAMS * groups; g++) redo[g] = vlt(zero, zero);
  for (int attempt = -attempts; attempt <= attempts; attempt++) {
    float width = 5 + (float)attempt * 0.1f;
    EACH_STREAM {
      inverse[s] = width / extent[s];
      attempted[s] = 1 / inverse[s];
    }
    iq2_choose(count, grid, tile, inverse, attempted, found, moved);
    iq2_sum(count, tile, found, code_x, code_squared);
    EACH_STREAM {
      vm better = vgt(code_squared[s], zero) & vgt(code_x[s] * code_x[s], best[s] * code_squared[s]);
      scale[s] = vselect(better, code_x[s] / code_squared[s], scale[s]);
      best[s] = vselect(better, scale[s] * code_x[s], best[s]);
      for (int g = s * groups; g < (s + 1) * groups; g++) {
        codes[g] = vselect_int(better, found[g], codes[g]);
        redo[g] = (better & moved[g]) | (vmask_not(better) & redo[g]);
      }
    }
  }

  EACH_STREAM {
    vm positive = vgt(scale[s], zero);
    any[s] = vlt(zero, zero);
    attempted[s] = vselect(positive, scale[s], vsplat(1));
    inverse[s] = 1 / attempted[s];
    for (int g = s * groups; g < (s + 1) * groups; g++) {
      redo[g] = moved_only ? redo[g] & positive : positive;
      any[s] |= redo[g];
    }
  }
  iq2_choose(count, grid, tile, inverse, attempted, found, moved);
  for (int g = 0; g < STREAMS * groups; g++) codes[g] = vselect_int(redo[g], found[g], codes[g]);
  iq2_sum(count, tile, codes, code_x, code_squared);
  EACH_STREAM scale[s] = vselect(any[s] & vgt(code_squared[s], zero), code_x[s] / code_squared[s], scale[s]);
}

// ---- Out of lanes

// Blocks first, first + 1, ... of a batch. A scale below 0 changes its sign, and so do all weights.
INLINE void iq2_store(int count, bool even, const quern_grid *grid, const iq2_tile *tile, const vm *empty, const vf *scale,
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
INLINE void iq2_fit_16(const super_block_batch *batch, bool even, float threshold, const quern_grid *grid, const float *weights,
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

// The codes of the scales of a super-block and its d, before that is rounded to F16; false when all scales are 0.
INLINE bool iq2_quantize_scales(const float *scales, int count, uint8_t *codes, float *d) {
  float largest = 0;
  for (int i = 0; i < count; i++) largest = largest > scales[i] ? largest : scales[i];
  *d = largest / 31;
  float inverse = 1 / *d;
  for (int i = 0; i < count; i++) {
    int code = nearest_int(0.5f * (inverse * scales[i] - 1));
    codes[i] = (uint8_t)(code < 0 ? 0 : code > 15 ? 15 : code);
  }
  return largest != 0;
}

// ---- Reading

// Eight weights. Levels stand for 8, 25 and 43 (iq2xxs_grid, iq2xs_grid and iq2s_grid of ggml-common.h in llama.cpp v0.5.0).
INLINE void iq2_read_group(uint32_t code, uint32_t signs, float scale, float *target) {
  static const float magnitudes[4] = {8, 25, 43};
  for (int i = 0; i < GROUP; i++) {
    float value = scale * magnitudes[code >> 2 * i & 3];
    target[i] = signs >> i & 1 ? -value : value;
  }
}

// The eighth sign of seven: an even number of weights is negative.
INLINE uint32_t iq2_even_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

#endif
