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

// A group in memory: its first four values, their weights, the other values, their weights.
enum { NEIGHBOUR_ROW = 2 * GROUP };

// LANE_BLOCKS sub-blocks, one in each lane.
typedef struct {
  vf x[STREAMS * LONGEST_BLOCK]; // without signs
  vf weights[STREAMS * LONGEST_BLOCK], weighted_x[STREAMS * LONGEST_BLOCK];
  vf largest[STREAMS], magnitude[STREAMS]; // the largest x and |x|
  vi signs[STREAMS * MOST_GROUPS];         // a bit per weight of a group, lowest first
  // x and the roots of the weights, for each slot of an attempt (see iq2_attempts).
  float rows[LANE_BLOCKS * MOST_GROUPS * NEIGHBOUR_ROW];
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
      float *rows = tile->rows + (s * count / GROUP + k) * VEC_LANES * NEIGHBOUR_ROW;
      iq2_store_rows(tile->x + s * count + k * GROUP, roots + k * GROUP, rows);
    }
  }
}

// ---- One attempt

// The levels of a group are clamp(nearest((inverse * x - 1) / 2)): they change above 2, and at 4, since ties go to the even one.
// Elements within BORDER of that may be no nearer to their level than to the next one, for all that rounding did to the scale and
// its inverse.
#define BORDER 1e-5f

INLINE void iq2_round(bool find_border, const vf *x, vf inverse, vi *cell, vi *code, vm *border) {
  vi cells = {0}, codes = {0};
  vf nearest = vsplat(1);
  for (int i = GROUP - 1; i >= 0; i--) {
    vf scaled = inverse * x[i];
    vi level = vone_where(vlt(vsplat(2), scaled)) + vone_where(vmask_not(vlt(scaled, vsplat(4))));
    if (find_border) nearest = vmin(nearest, vabs(vabs(scaled - 3) - 1));
    cells = cells + cells + cells + level;
    codes = codes << 2 | level;
  }
  *cell = cells;
  *code = codes;
  *border = vlt(nearest, vsplat(BORDER));
}

// The same where that would be too large for ggml's rounding, or inverse scales have no exact inverse.
NOINLINE void iq2_round_any(const vf *x, vf inverse, vi *cell, vi *code, vm *border) {
  vi cells = {0}, codes = {0};
  for (int i = GROUP - 1; i >= 0; i--) {
    vi level = vtruncate(vclamp(vnearest(0.5f * (inverse * x[i] - 1)), 0, 2));
    cells = cells + cells + cells + level;
    codes = codes << 2 | level;
  }
  *cell = cells;
  *code = codes;
  *border = veq((vf){0}, (vf){0});
}

INLINE bool iq2_is_usual(vf inverse, vf magnitude) {
  return vall(vlt(vsplat(1e-30f), inverse) & vlt(inverse, vsplat(1e30f)) & vlt(inverse * magnitude, vsplat(4e6f)));
}

// A scale for each lane, and what becomes of it.
enum {
  MOST_ATTEMPTS = 19,
  MOST_SLOTS = 13 * LANE_BLOCKS * MOST_GROUPS, // IQ2_XXS has 13 attempts at 4 groups, the others 19 at 2
  NO_SLOT = 0xffff,
};
typedef struct {
  vf inverse[MOST_ATTEMPTS * STREAMS];
  // A slot for each group, in the order of attempts, streams, groups and lanes.
  float scale[MOST_SLOTS];
  uint16_t codes[MOST_SLOTS];
  uint32_t entries[MOST_SLOTS]; // of the cell that it is rounded to
  // Those that are not points, chained by the steps that the search for a neighbour takes.
  uint16_t next[MOST_SLOTS];
  uint16_t first[GRID_LONGEST_LIST / 4 + 1];
} iq2_attempts;

NOINLINE void iq2_round_all(int count, int attempts, const quern_grid *grid, const iq2_tile *tile, iq2_attempts *all) {
  const int groups = count / GROUP;
  for (int steps = 0; steps <= GRID_LONGEST_LIST / 4; steps++) all->first[steps] = NO_SLOT;
  for (int attempt = 0, slot = 0; attempt < attempts; attempt++) EACH_STREAM {
    vf inverse = all->inverse[attempt * STREAMS + s];
    bool usual = iq2_is_usual(inverse, tile->magnitude[s]);
    for (int k = 0; k < groups; k++) {
      vi cell, code;
      vm border;
      const vf *x = tile->x + (s * groups + k) * GROUP;
      if (__builtin_expect(!usual, 0))
        iq2_round_any(x, inverse, &cell, &code, &border);
      else if (grid->contenders != grid->cells)
        iq2_round(true, x, inverse, &cell, &code, &border);
      else
        iq2_round(false, x, inverse, &cell, &code, &border);
      int32_t cells[VEC_LANES];
      vstore((float *)cells, (vf)cell);
      vstore_u16((uint8_t *)(all->codes + slot), code);
      uint32_t entries[VEC_LANES], at_border = vmask_bits(border);
      for (int lane = 0; lane < VEC_LANES; lane++) entries[lane] = grid->contenders[cells[lane]];
      for (; __builtin_expect(at_border != 0, 0); at_border &= at_border - 1) {
        int lane = __builtin_ctz(at_border);
        entries[lane] = grid->cells[cells[lane]];
      }
      for (int lane = 0; lane < VEC_LANES; lane++, slot++) {
        uint32_t steps = (grid_length(entries[lane]) + 3) / 4;
        all->entries[slot] = entries[lane];
        all->next[slot] = all->first[steps];
        all->first[steps] = (uint16_t)slot;
      }
    }
  }
}

// The errors of each element at each level.
INLINE void iq2_errors(const float *const *rows, const float *const *scales, level_table *tables) {
  vf scale = vsplat_quarters(scales);
  for (int half = 0; half < 2; half++) {
    vf x = vload_quarters(rows, half * 8), weights = vload_quarters(rows, half * 8 + 4), errors[3];
    for (int level = 0; level < 3; level++) {
      vf difference = scale * (float)(2 * level + 1) - x;
      errors[level] = weights * difference * difference;
    }
    level_tables_of(errors[0], errors[1], errors[2], tables + half * 4);
  }
}

// Replaces the codes that are not points by their best neighbours.
NOINLINE void iq2_search_neighbours(int count, const quern_grid *grid, const iq2_tile *tile, iq2_attempts *all) {
  const uint32_t row_mask = (uint32_t)(LANE_BLOCKS * count / GROUP) - 1; // all these are powers of two
  for (int steps = 1; steps <= GRID_LONGEST_LIST / 4; steps++) {
    uint32_t next = all->first[steps];
    while (next != NO_SLOT) {
      neighbour_search search;
      const float *rows[QUARTERS], *scales[QUARTERS];
      uint32_t slots[QUARTERS], slot = next;
      for (int q = 0; q < QUARTERS; q++) {
        rows[q] = tile->rows + (slot & row_mask) * NEIGHBOUR_ROW;
        scales[q] = all->scale + slot;
        search.list[q] = grid_list(grid, all->entries[slot]);
        slots[q] = slot;
        // Where there are no more, the last one is searched again.
        next = all->next[slot];
        slot = next == NO_SLOT ? slot : next;
      }
      uint16_t codes[QUARTERS];
      iq2_errors(rows, scales, search.errors);
      best_neighbours(&search, steps, codes);
      for (int q = 0; q < QUARTERS; q++) all->codes[slots[q]] = codes[q];
    }
  }
}

INLINE void iq2_attempt(iq2_attempts *all, int attempt, int stream, int groups, vf inverse, vf scale) {
  int first = attempt * STREAMS + stream;
  all->inverse[first] = inverse;
  for (int g = first * groups; g < (first + 1) * groups; g++) vstore(all->scale + g * VEC_LANES, scale);
}

INLINE void iq2_found(const iq2_attempts *all, int attempt, int groups, vi *codes) {
  for (int g = 0; g < STREAMS * groups; g++) {
    codes[g] = vload_u16((const uint8_t *)(all->codes + (attempt * STREAMS * groups + g) * VEC_LANES));
  }
}

// Which groups of a vector of slots are not what they were rounded to.
INLINE vm iq2_moved(const iq2_attempts *all, int vector) {
  vi entries = (vi)vload((const float *)(all->entries + vector * VEC_LANES));
  return vlt_int(vsplat_int(0), entries & ((1 << GRID_LENGTH_BITS) - 1));
}

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
  iq2_round_all(count, 2 * attempts + 1, grid, tile, &all);
  iq2_search_neighbours(count, grid, tile, &all);

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
  iq2_round_all(count, 1, grid, tile, &all);
  iq2_search_neighbours(count, grid, tile, &all);
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
