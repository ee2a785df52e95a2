// What IQ1_S and IQ1_M share. A value is scale * (level - 1 + shift) with levels 0, 1 and 2, eight at a time from the codebook
// iq1, and a shift of 1/8 up or down.
//
// Blocks of weights first get the scale and the levels that are best without the codebook (search/ternary-split.h), then groups of
// eight that are no points of it get the best neighbours of their cells, then the scale is fitted again.
#ifndef QUERN_IQ1_H
#define QUERN_IQ1_H

#include "grids/grid.h"
#include "search/grid-neighbour.h"
#include "search/ternary-split.h"
#include "super-blocks.h"

#define IQ1_DELTA 0.125f

// What the levels stand for: shift 0 is up, 1 is down.
static const float IQ1_VALUES[2][4] = {{-1 + IQ1_DELTA, IQ1_DELTA, 1 + IQ1_DELTA, 0}, {-1 - IQ1_DELTA, -IQ1_DELTA, 1 - IQ1_DELTA, 0}};

// ---- Fitting

enum { IQ1_GROUPS = SUPER_BLOCK / GROUP };

// What is found for the blocks of a batch, in order. A scale is NaN where ggml's search fails (and ends the process), since
// numbers are too large for float32. Arrays have room for a last vector.
typedef struct {
  float scale[BATCH * SUB_BLOCKS];
  int32_t shifts[BATCH * SUB_BLOCKS];    // a bit for each group
  int32_t moved[BATCH * SUB_BLOCKS];     // -1 where not all groups are points
  uint32_t entries[BATCH * IQ1_GROUPS];  // of the cells of the groups, or of their contenders (grids/grid.h)
} iq1_fits;

// Blocks in lanes; lanes beyond the last block repeat it.
INLINE void iq1_load(const float *blocks, int length, int start, int last, vf *tile) {
  const float *lanes[VEC_LANES];
  for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = blocks + (start + lane < last ? start + lane : last) * length;
  vload_blocks(tile, lanes, length);
}

// What the levels of a group are shifted by.
INLINE vf iq1_delta(vi shifts, int group) {
  return vselect(vlt_int(vsplat_int(0), shifts & 1 << group), vsplat(-IQ1_DELTA), vsplat(IQ1_DELTA));
}

// The best splits of VEC_LANES blocks, and the cells of their levels. Blocks below `threshold` are taken for zeros: scale 0, and
// the first point.
INLINE void iq1_split_blocks(const float *source, const float *weights, const quern_grid *grid, int length, float threshold,
                             ternary_split_function *find_split, int start, int last, iq1_fits *fits) {
  const int groups = length / GROUP, all_shifts = (1 << groups) - 1;
  vf x[LONGEST_BLOCK], w[LONGEST_BLOCK], largest = {0};
  vi ranks[LONGEST_BLOCK];
  ternary_split split;
  iq1_load(source, length, start, last, x);
  iq1_load(weights, length, start, last, w);
  for (int i = 0; i < length; i++) largest = vmax(vabs(x[i]), largest);
  sorting_ranks(x, length, ranks);
  find_split(x, w, ranks, &split);

  vm zeros = vlt(largest, vsplat(threshold)) | vlt_int(split.choice, vsplat_int(0)), negative = vlt(split.scale, vsplat(0));
  vf scale = vselect(negative, -split.scale, split.scale);
  vi shifts = split.choice >> 16 & all_shifts;
  shifts = vselect_int(negative, all_shifts - shifts, shifts);
  vstore(fits->scale + start, vselect(zeros, vsplat(0), scale));
  vstore((float *)(fits->shifts + start), (vf)vselect_int(zeros, vsplat_int(0), shifts));

  vi first = split.choice & 0xff, second = split.choice >> 8 & 0xff;
  for (int k = 0; k < groups; k++) {
    vf delta = iq1_delta(shifts, k), low = scale * (delta - 1), middle = scale * delta, high = scale * (delta + 1);
    vi cell = {0};
    vm unordered = vlt(low, low);
    for (int i = GROUP * k + GROUP - 1; i >= GROUP * k; i--) {
      vm lower = vlt_int(ranks[i], first), upper = vmask_not(vlt_int(ranks[i], second));
      vm lowest = (lower & vmask_not(negative)) | (upper & negative), highest = (upper & vmask_not(negative)) | (lower & negative);
      cell = cell + cell + cell + 1 - vone_where(lowest) + vone_where(highest);
      // Errors must not shrink away from the level.
      vf to_low = vabs(low - x[i]), to_middle = vabs(middle - x[i]), to_high = vabs(high - x[i]);
      unordered |= (lowest & vlt(to_middle, to_low)) | (vmask_not(lowest) & vlt(to_low, to_middle));
      unordered |= (highest & vlt(to_middle, to_high)) | (vmask_not(highest) & vlt(to_high, to_middle));
    }
    int32_t cells[VEC_LANES];
    vstore((float *)cells, (vf)vselect_int(zeros, vsplat_int(0), cell));
    uint32_t all_neighbours = vmask_bits(unordered);
    for (int lane = 0; lane < VEC_LANES; lane++) {
      const uint32_t *entries = all_neighbours >> lane & 1 ? grid->cells : grid->contenders;
      fits->entries[(start + lane) * groups + k] = entries[cells[lane]];
    }
  }
}

// The errors of each element at each level.
INLINE void iq1_errors(const float *const *x, const float *const *weights, const float *const *scales, const float *const *deltas,
                       level_table *tables) {
  vf scale = vsplat_quarters(scales), delta = vsplat_quarters(deltas);
  for (int half = 0; half < 2; half++) {
    vf x_half = vload_quarters(x, half * 4), weights_half = vload_quarters(weights, half * 4), errors[3];
    for (int level = 0; level < 3; level++) {
      vf difference = scale * ((float)(level - 1) + delta) - x_half;
      errors[level] = weights_half * difference * difference;
    }
    level_tables_of(errors[0], errors[1], errors[2], tables + half * 4);
  }
}

// Moves the groups that are not points to the best neighbours of their cells.
INLINE void iq1_search_neighbours(const float *source, const float *weights, const quern_grid *grid, int length, int blocks,
                                  iq1_fits *fits) {
  static const float deltas[2] = {IQ1_DELTA, -IQ1_DELTA};
  enum { NONE = 0xffff };
  const int groups = length / GROUP;
  // Groups chained by the steps that their searches take.
  uint16_t chains[GRID_LONGEST_LIST / 4 + 1], next[BATCH * IQ1_GROUPS];
  for (int steps = 0; steps <= GRID_LONGEST_LIST / 4; steps++) chains[steps] = NONE;
  for (int block = 0; block < blocks; block++) fits->moved[block] = 0;
  for (int group = 0; group < blocks * groups; group++) {
    uint32_t steps = (grid_length(fits->entries[group]) + 3) / 4;
    next[group] = chains[steps];
    chains[steps] = (uint16_t)group;
  }
  for (int steps = 1; steps <= GRID_LONGEST_LIST / 4; steps++) {
    uint32_t group = chains[steps];
    while (group != NONE) {
      neighbour_search search;
      const float *x_rows[QUARTERS], *weight_rows[QUARTERS], *scales[QUARTERS], *shifts[QUARTERS];
      uint32_t searched[QUARTERS];
      uint16_t codes[QUARTERS];
      for (int q = 0; q < QUARTERS; q++) {
        uint32_t block = group / (uint32_t)groups;
        x_rows[q] = source + group * GROUP;
        weight_rows[q] = weights + group * GROUP;
        scales[q] = fits->scale + block;
        shifts[q] = &deltas[fits->shifts[block] >> group % (uint32_t)groups & 1];
        search.list[q] = grid_list(grid, fits->entries[group]);
        searched[q] = group;
        // Where there are no more, the last one is searched again.
        if (next[group] != NONE) group = next[group];
        else if (q == QUARTERS - 1) group = NONE;
      }
      iq1_errors(x_rows, weight_rows, scales, shifts, search.errors);
      uint32_t failed = best_neighbours(&search, steps, codes);
      for (int q = 0; q < QUARTERS; q++) {
        uint32_t cell = 0, block = searched[q] / (uint32_t)groups;
        for (int i = GROUP - 1; i >= 0; i--) cell = cell * 3 + ((uint32_t)codes[q] >> 2 * i & 3);
        fits->entries[searched[q]] = grid->cells[cell];
        fits->moved[block] = -1;
        if (failed >> 4 * q & 1) fits->scale[block] = __builtin_nanf("");
      }
    }
  }
}

// Scales that fit VEC_LANES blocks best where groups have moved.
INLINE void iq1_refit_blocks(const float *source, const float *weights, const quern_grid *grid, int length, int start, int last,
                             iq1_fits *fits) {
  const int groups = length / GROUP;
  vm moved = vlt_int((vi)vload((const float *)(fits->moved + start)), vsplat_int(0));
  if (!vany(moved)) return;
  vf x[LONGEST_BLOCK], w[LONGEST_BLOCK], scale = vload(fits->scale + start), sum_x = {0}, sum_squares = {0}, zero = {0};
  vi shifts = (vi)vload((const float *)(fits->shifts + start));
  iq1_load(source, length, start, last, x);
  iq1_load(weights, length, start, last, w);
  for (int k = 0; k < groups; k++) {
    vf delta = iq1_delta(shifts, k);
    vi codes;
    for (int lane = 0; lane < VEC_LANES; lane++) {
      int block = start + lane < last ? start + lane : last;
      codes[lane] = grid->book.points[grid_point(fits->entries[block * groups + k])];
    }
    for (int i = 0; i < GROUP; i++) {
      vf value = __builtin_convertvector((codes >> 2 * i & 3) - 1, vf) + delta;
      vf weighted = w[GROUP * k + i] * value;
      sum_x += weighted * x[GROUP * k + i];
      sum_squares += weighted * value;
    }
  }
  // What is NaN stays so.
  moved &= vgt(sum_x, zero) & vgt(sum_squares, zero) & veq(scale, scale);
  vstore(fits->scale + start, vselect(moved, sum_x / sum_squares, scale));
}

INLINE void iq1_fit(const super_block_batch *batch, const float *weights, const quern_grid *grid, int length, float threshold,
                    ternary_split_function *find_split, iq1_fits *fits) {
  int blocks = batch->count * (SUPER_BLOCK / length);
  for (int start = 0; start < blocks; start += VEC_LANES) {
    iq1_split_blocks(batch->source, weights, grid, length, threshold, find_split, start, blocks - 1, fits);
  }
  iq1_search_neighbours(batch->source, weights, grid, length, blocks, fits);
  for (int start = 0; start < blocks; start += VEC_LANES) {
    iq1_refit_blocks(batch->source, weights, grid, length, start, blocks - 1, fits);
  }
}

// ---- Scales

// The largest of scales; NaN if one is.
INLINE float iq1_largest_scale(const float *scales, int count) {
  float largest = 0;
  for (int i = 0; i < count && largest == largest; i++) {
    if (!(scales[i] <= largest)) largest = scales[i];
  }
  return largest;
}

// Scales rounded to 3 bits, which stand for 1, 3, ... 15 of the scale of the super-block.
INLINE void iq1_round_scales(const float *scales, int count, float largest, uint8_t *codes) {
  float inverse = 1 / (largest / 15);
  for (int i = 0; i < count; i++) {
    int code = nearest_int(0.5f * (inverse * scales[i] - 1));
    codes[i] = (uint8_t)(code < 0 ? 0 : code > 7 ? 7 : code);
  }
}

// ---- Reading

// Eight weights of a point.
INLINE void iq1_read_group(uint16_t code, float scale, uint32_t shift, float *target) {
  for (int i = 0; i < GROUP; i++) target[i] = scale * IQ1_VALUES[shift][code >> 2 * i & 3];
}

#endif
