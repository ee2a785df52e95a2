// What IQ3_XXS and IQ3_S share: super-blocks of 8 x 32 weights with a 4-bit scale each, in which every four weights ("quad") are
// a point of a codebook, and signs are stored apart: value = d * (2 * scale code + 1) * sign * (1, 3, ... 15, nearly).
//
// quantize_row_iq3_xxs_impl and quantize_row_iq3_s_impl of ggml-quants.c (llama.cpp v0.5.0): the best of many scales for each
// sub-block, and with that scale the points once more.
#ifndef QUERN_IQ3_H
#define QUERN_IQ3_H

#include "points.h"
#include "search/quads.h"
#include "super-blocks.h"

enum { IQ3_SUB_BLOCKS = 8, IQ3_SIGNS = QUAD_WEIGHTS / 8 };

typedef struct {
  quern_grid_id grid;
  int reach;       // of the tries
  float smallest;  // sub-blocks whose weights are all smaller are empty
  bool even_signs; // of eight weights an even number is negative, so that seven signs are stored
  bool all_again;  // the last search is for all quads, not only for those whose cell is no point
} iq3_kind;

// One sub-block. Where it is empty, all is 0.
typedef struct {
  bool empty;
  float scale;              // not less than 0, or NaN
  uint16_t points[QUADS];   // indices in the codebook
  uint8_t signs[IQ3_SIGNS]; // one bit per weight: those below 0
} iq3_fit;

// ---- Signs

// The first of the eight weights whose sign matters least.
INLINE int iq3_least_weight(const float *x, const float *weights) {
  float least = weights[0] * x[0] * x[0];
  int index = 0;
  for (int i = 1; i < 8; i++) {
    float error = weights[i] * x[i] * x[i];
    index = error < least ? i : index;
    least = error < least ? error : least;
  }
  return index;
}

// Splits the weights into signs and magnitudes.
INLINE void iq3_split(const iq3_kind *kind, const float *source, const float *weights, quad_block *block, uint8_t *signs) {
  uint32_t negative = 0;
  vf largest = {0};
  for (int i = 0; i < QUAD_WEIGHTS; i += VEC_LANES) {
    vf x = vload(source + i), weight = weights ? vload(weights + i) : x * x;
    negative |= vmask_bits(vlt(x, vsplat(0))) << i;
    vstore(block->x + i, vabs(x));
    vstore(block->weights + i, weight);
    vstore(block->roots + i, vsqrt(weight));
  }
  for (int g = 0; g < IQ3_SIGNS; g++) {
    uint32_t group = negative >> 8 * g & 255;
    if (kind->even_signs && __builtin_parity(group)) {
      int least = iq3_least_weight(block->x + 8 * g, block->weights + 8 * g);
      block->x[8 * g + least] = -block->x[8 * g + least];
      group ^= 1u << least;
    }
    signs[g] = (uint8_t)(kind->even_signs ? group & 127 : group);
  }
  for (int i = 0; i < QUAD_WEIGHTS; i += VEC_LANES) largest = vmax(largest, vload(block->x + i));
  block->largest = -vsmallest(-largest)[0];
}

// ---- VEC_LANES sub-blocks at once

typedef struct {
  quad_block blocks[VEC_LANES];
  uint8_t signs[VEC_LANES][IQ3_SIGNS];
  bool empty[VEC_LANES];
  quad_trials trials[VEC_LANES];
  int32_t points[VEC_LANES][QUADS]; // those chosen, as in quad_trials
} iq3_group;

// Loads `count` sub-blocks and repeats the last one, but as an empty one, in the lanes that are left.
INLINE void iq3_load_group(const iq3_kind *kind, const float *source, const float *weights, int count, iq3_group *group) {
  for (int b = 0; b < VEC_LANES; b++) {
    int at = (b < count ? b : count - 1) * QUAD_WEIGHTS;
    iq3_split(kind, source + at, weights ? weights + at : NULL, &group->blocks[b], group->signs[b]);
    group->empty[b] = b >= count || group->blocks[b].largest < kind->smallest;
  }
}

INLINE void iq3_try_group(const iq3_kind *kind, const quern_grid *grid, iq3_group *group) {
  for (int b = 0; b < VEC_LANES; b++) {
    quad_trials *trials = &group->trials[b];
    if (!group->empty[b]) {
      quad_search(grid, kind->reach, &group->blocks[b], trials);
      continue;
    }
    for (int t = 0; t < MOST_TRIES; t++) trials->code_x[t] = trials->code_squared[t] = 0;
  }
}

// The best try of each sub-block, or -1 where none is of use, and its scale.
NOINLINE void iq3_best_tries(int tries, const iq3_group *group, vi *chosen, vf *scale) {
  vf code_x[MOST_TRIES], code_squared[MOST_TRIES], best = {0};
  const float *lanes[VEC_LANES];
  for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = group->trials[lane].code_x;
  vload_blocks(code_x, lanes, MOST_TRIES);
  for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = group->trials[lane].code_squared;
  vload_blocks(code_squared, lanes, MOST_TRIES);
  for (int lane = 0; lane < VEC_LANES; lane++) (*scale)[lane] = group->blocks[lane].largest;
  *scale /= (float)QUAD_LARGEST_VALUE;
  *chosen = vsplat_int(-1);
  for (int t = 0; t < tries; t++) {
    vm better = vgt(code_squared[t], vsplat(0)) & vgt(code_x[t] * code_x[t], best * code_squared[t]);
    *scale = vselect(better, code_x[t] / code_squared[t], *scale);
    best = vselect(better, *scale * code_x[t], best);
    *chosen = vselect_int(better, vsplat_int(t), *chosen);
  }
}

// The points of a sub-block at the scale that was found, for all quads or for those whose cell was no point.
INLINE void iq3_search_again(const quern_grid *grid, const quad_block *block, float scale, bool all, int32_t *points) {
  float scales[VEC_LANES];
  int32_t levels[QUAD_WEIGHTS];
  vf inverse = 1.0f / vsplat(scale);
  vstore(scales, vsplat(scale));
  for (int i = 0; i < QUAD_WEIGHTS; i += VEC_LANES) {
    vf level = vclamp(vnearest(0.5f * (inverse * vload(block->x + i) - 1.0f)), 0, QUAD_LEVELS - 1);
    vstore((float *)(levels + i), (vf)vtruncate(level));
  }
  for (int k = 0; k < QUADS; k++) {
    if (!all && !(points[k] & QUAD_NEIGHBOUR)) continue;
    const int32_t *level = levels + k * QUAD;
    int32_t found[VEC_LANES];
    vstore((float *)found, (vf)vsplat_int(level[0] | level[1] << 3 | level[2] << 6 | level[3] << 9));
    quad_judge(grid, 1, false, block->x + k * QUAD, block->roots + k * QUAD, scales, 1, found);
    points[k] = found[0];
  }
}

// Chooses the points of all sub-blocks. The result has, as bits, those whose points are not those of the best try any more.
INLINE uint32_t iq3_choose_points(const iq3_kind *kind, const quern_grid *grid, vi chosen, vf scale, iq3_group *group) {
  uint32_t again = 0;
  for (int b = 0; b < VEC_LANES; b++) {
    int32_t *points = group->points[b], any = 0;
    for (int k = 0; k < QUADS; k++) {
      points[k] = chosen[b] < 0 ? 0 : group->trials[b].points[k][chosen[b]];
      any |= points[k];
    }
    bool unsettled = chosen[b] < 0 ? kind->all_again : (any & QUAD_NEIGHBOUR) != 0;
    if (group->empty[b] || !unsettled || !(scale[b] > 0)) continue;
    iq3_search_again(grid, &group->blocks[b], scale[b], kind->all_again, points);
    again |= 1u << b;
  }
  return again;
}

// The scales that fit the points best; `scale` where the sums are of no use.
INLINE vf iq3_fit_scales(const iq3_group *group, vf scale) {
  vf x[QUAD_WEIGHTS], weights[QUAD_WEIGHTS], code_x = {0}, code_squared = {0};
  const float *lanes[VEC_LANES];
  for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = group->blocks[lane].x;
  vload_blocks(x, lanes, QUAD_WEIGHTS);
  for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = group->blocks[lane].weights;
  vload_blocks(weights, lanes, QUAD_WEIGHTS);
  for (int k = 0; k < QUADS; k++) {
    vi points;
    for (int lane = 0; lane < VEC_LANES; lane++) points[lane] = group->points[lane][k];
    for (int i = 0; i < QUAD; i++) {
      vf value = vquad_value(points >> 3 * i), weight = weights[k * QUAD + i];
      code_x += weight * x[k * QUAD + i] * value;
      code_squared += weight * value * value;
    }
  }
  return vselect(vgt(code_squared, vsplat(0)), code_x / code_squared, scale);
}

// Fits `count` sub-blocks, which lie at source one after another, as do their weights. Those are the squares where NULL.
INLINE void iq3_fit_group(const iq3_kind *kind, const quern_grid *grid, const float *source, const float *weights, int count,
                          iq3_fit *fits) {
  iq3_group group;
  vi chosen;
  vf scale;
  iq3_load_group(kind, source, weights, count, &group);
  iq3_try_group(kind, grid, &group);
  iq3_best_tries(quad_tries(kind->reach), &group, &chosen, &scale);
  uint32_t again = iq3_choose_points(kind, grid, chosen, scale, &group);
  vf fitted = iq3_fit_scales(&group, scale);
  for (int b = 0; b < count; b++) {
    iq3_fit *fit = &fits[b];
    *fit = (iq3_fit){.empty = group.empty[b]};
    if (fit->empty) continue;
    fit->scale = again >> b & 1 ? fitted[b] : scale[b];
    for (int k = 0; k < QUADS; k++) {
      fit->points[k] = (uint16_t)grid_point(grid->cells[group.points[b][k] & QUAD_CODE]);
    }
    // A scale below 0, which importance makes possible, changes its sign, and so do all weights.
    uint8_t flips = fit->scale >= 0 ? 0 : kind->even_signs ? 127 : 255;
    for (int g = 0; g < IQ3_SIGNS; g++) fit->signs[g] = group.signs[b][g] ^ flips;
    fit->scale = fit->scale < 0 ? -fit->scale : fit->scale;
  }
}

// ---- Super-blocks

typedef void iq3_store(const iq3_fit *fits, uint8_t *block);

INLINE void iq3_quantize(const iq3_kind *kind, iq3_store *store, int block_size, const float *source, uint8_t *target,
                         int64_t rows, int64_t columns, const float *importance) {
  enum { FITS = BATCH * IQ3_SUB_BLOCKS };
  const quern_grid *grid = quern_grid_for(kind->grid);
  float weights[BATCH * SUPER_BLOCK];
  iq3_fit fits[FITS];
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    if (importance) weigh_by_importance(&batch, importance, 2, weights);
    int count = batch.count * IQ3_SUB_BLOCKS;
    for (int b = 0; b < count; b += VEC_LANES) {
      int at = b * QUAD_WEIGHTS, left = count - b;
      iq3_fit_group(kind, grid, batch.source + at, importance ? weights + at : NULL, left < VEC_LANES ? left : VEC_LANES, fits + b);
    }
    for (int b = 0; b < batch.count; b++) store(fits + b * IQ3_SUB_BLOCKS, target + (first + b) * block_size);
  }
}

// The scales of a super-block as 4-bit codes, and d before it is rounded: 0 where all scales are 0. The reference stops where a
// scale is NaN, which overflow makes; here d is NaN then.
INLINE float iq3_scale_codes(const iq3_fit *fits, uint8_t *codes) {
  float largest = 0;
  bool sound = true;
  for (int b = 0; b < IQ3_SUB_BLOCKS; b++) {
    largest = largest > fits[b].scale ? largest : fits[b].scale;
    sound &= fits[b].scale >= 0;
  }
  float d = largest / 31, inverse = 1 / d;
  for (int b = 0; b < IQ3_SUB_BLOCKS; b++) {
    int code = nearest_int(0.5f * (inverse * fits[b].scale - 1));
    codes[b] = (uint8_t)(code < 0 || d == 0 ? 0 : code > 15 ? 15 : code);
  }
  return sound ? d : __builtin_nanf("");
}

// ---- Reading

// Sixteen weights: the codes of four quads.
INLINE void iq3_read_quads(const uint32_t *codes, uint32_t signs, const point_values *values, float *target) {
  read_points(codes[0] | codes[1] << 12, codes[2] | codes[3] << 12, 3, signs, values, target);
}

#endif
