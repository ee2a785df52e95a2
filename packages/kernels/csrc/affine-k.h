// What Q2_K, Q4_K and Q5_K share: value = d * scale_code * code - dmin * min_code with F16 d and dmin per super-block.
#ifndef QUERN_AFFINE_K_H
#define QUERN_AFFINE_K_H

#include "search/affine.h"
#include "search/positive.h"
#include "super-blocks.h"

// Results for the sub-blocks of a batch in order, padded to whole groups of lanes.
typedef struct {
  float scale[BATCH * SUB_BLOCKS];
  float minimum[BATCH * SUB_BLOCKS];
  float weight_sum[BATCH * SUB_BLOCKS];
  float code_scale[BATCH * SUB_BLOCKS];
  float code_min[BATCH * SUB_BLOCKS];
} affine_fits;

// Quantized scales and minimums of a batch.
typedef struct {
  float d[BATCH], dmin[BATCH];
  uint8_t scale[BATCH * SUB_BLOCKS], min[BATCH * SUB_BLOCKS];
} affine_codes;

typedef void affine_search_function(const affine_grid *grid, affine_element *elements, affine_fit *fits);
// Makes the weights of the search from the values.
typedef void affine_weigh_function(affine_element *elements);

// Fits all sub-blocks of `length` weights. Search weights come from `weights`, or from the values where that is NULL.
INLINE void affine_fit_batch(const super_block_batch *batch, int length, affine_search_function *search, const affine_grid *grid,
                             const float *weights, affine_weigh_function *weigh, affine_fits *fits) {
  affine_element elements[AFFINE_TURNS * LONGEST_BLOCK];
  int last = batch->count * (SUPER_BLOCK / length) - 1;
  for (int first = 0; first <= last; first += AFFINE_BLOCKS) {
    affine_fit found[AFFINE_TURNS];
    for (int turn = 0; turn < AFFINE_TURNS; turn++) {
      vf lanes[STREAMS * LONGEST_BLOCK];
      affine_element *tile = elements + turn * length;
      load_lanes(lanes, length, batch->source, first + turn * LANE_BLOCKS, last);
      for (int i = 0; i < length; i++) EACH_STREAM tile[i].x[s] = lanes[s * length + i];
      if (weights) {
        load_lanes(lanes, length, weights, first + turn * LANE_BLOCKS, last);
        for (int i = 0; i < length; i++) EACH_STREAM tile[i].weight[s] = lanes[s * length + i];
      } else {
        weigh(tile);
      }
    }
    search(grid, elements, found);
    for (int turn = 0; turn < AFFINE_TURNS; turn++) EACH_STREAM {
      int at = first + turn * LANE_BLOCKS + s * VEC_LANES;
      vstore(fits->scale + at, found[turn].scale[s]);
      vstore(fits->minimum + at, found[turn].minimum[s]);
      vstore(fits->weight_sum + at, found[turn].weight_sum[s]);
      vstore(fits->code_scale + at, found[turn].code_scale[s]);
      vstore(fits->code_min + at, found[turn].code_min[s]);
    }
  }
}

// Quantizes the values >= 0 of one super-block in steps of largest / levels, and returns that step.
INLINE float quantize_evenly(const float *values, int count, int levels, int highest, uint8_t *codes) {
  float largest = 0;
  for (int i = 0; i < count; i++) {
    if (values[i] > largest) largest = values[i];
  }
  float inverse = largest > 0 ? (float)levels / largest : 0;
  for (int i = 0; i < count; i++) {
    uint8_t code = (uint8_t)nearest_int(inverse * values[i]);
    codes[i] = code < highest ? code : (uint8_t)highest;
  }
  return largest / (float)levels;
}

// Without importance. Codes above `highest`, which only values below 0 wrap around to, become it.
INLINE void affine_codes_evenly(const super_block_batch *batch, int per_block, int levels, int highest, const affine_fits *fits,
                                affine_codes *codes) {
  for (int b = 0; b < batch->count; b++) {
    int at = b * per_block;
    codes->d[b] = quantize_evenly(fits->scale + at, per_block, levels, highest, codes->scale + at);
    codes->dmin[b] = quantize_evenly(fits->minimum + at, per_block, levels, highest, codes->min + at);
  }
}

// With importance: the scales are searched in one stream, the minimums in the other.
INLINE void affine_codes_weighted(const super_block_batch *batch, int per_block, int levels, int highest,
                                  const affine_fits *fits, affine_codes *codes) {
  vf values[STREAMS * SUB_BLOCKS], weights[STREAMS * SUB_BLOCKS], found[STREAMS * SUB_BLOCKS], step[STREAMS];
  values_to_lanes(fits->scale, per_block, batch->count, values);
  values_to_lanes(fits->minimum, per_block, batch->count, values + per_block);
  values_to_lanes(fits->weight_sum, per_block, batch->count, weights);
  for (int i = 0; i < per_block; i++) weights[per_block + i] = weights[i];
  positive_search(per_block, (float)levels, values, weights, found, step);
  for (int b = 0; b < batch->count; b++) {
    codes->d[b] = step[0][b];
    codes->dmin[b] = step[1][b];
    for (int i = 0; i < per_block; i++) {
      int scale = (int)found[i][b], min = (int)found[per_block + i][b];
      codes->scale[b * per_block + i] = (uint8_t)(scale < highest ? scale : highest);
      codes->min[b * per_block + i] = (uint8_t)(min < highest ? min : highest);
    }
  }
}

// Rounds one sub-block with the scale and the minimum that a reader will see. Where that scale is 0 the search's codes stay.
INLINE void affine_round_block(const float *x, int length, uint8_t max_code, float scale, float min, float code_scale,
                               float code_min, uint8_t *target) {
  for (int start = 0; start < length; start += 16) {
    vi codes[16 / VEC_LANES];
    for (int i = 0; i < 16 / VEC_LANES; i++) {
      vf value = vload(x + start + i * VEC_LANES);
      codes[i] = vnearest_int(scale != 0 ? (value + min) / scale : code_scale * (value - code_min));
    }
    vstore_clamped(target + start, codes, max_code);
  }
}

#endif
