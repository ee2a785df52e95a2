// What Q3_K and Q6_K share: 16 sub-blocks of 16, value = d * scale_code * (code - bound) with one F16 d per super-block.
#ifndef QUERN_SYMMETRIC_K_H
#define QUERN_SYMMETRIC_K_H

#include "search/symmetric.h"
#include "super-blocks.h"

// Results for the sub-blocks of a batch in order, padded to whole groups of lanes.
typedef struct {
  float scale[BATCH * SUB_BLOCKS];
  float weight_sum[BATCH * SUB_BLOCKS];
  float code_scale[BATCH * SUB_BLOCKS];
} symmetric_fits;

// Fits all sub-blocks. Search weights are the squares of the values where `weights` is NULL.
NOINLINE void symmetric_fit_batch(const super_block_batch *batch, float bound, const float *weights, symmetric_fits *fits) {
  vf x[STREAMS * 16], w[STREAMS * 16];
  int last = batch->count * 16 - 1;
  for (int first = 0; first <= last; first += LANE_BLOCKS) {
    symmetric_fit fit;
    load_lanes(x, 16, batch->source, first, last);
    if (weights) {
      load_lanes(w, 16, weights, first, last);
    } else {
      for (int i = 0; i < STREAMS * 16; i++) w[i] = x[i] * x[i];
    }
    symmetric_search_16(bound, x, w, &fit);
    EACH_STREAM {
      int at = first + s * VEC_LANES;
      vstore(fits->scale + at, fit.scale[s]);
      vstore(fits->weight_sum + at, sum_in_order(w + s * 16, 16));
      vstore(fits->code_scale + at, fit.code_scale[s]);
    }
  }
}

// The value of largest magnitude with its sign, the first of several; 0 where all are 0 or NaN.
INLINE float extreme_of_16(const float *values) {
  float magnitude = 0, extreme = 0;
  for (int i = 0; i < 16; i++) {
    float candidate = __builtin_fabsf(values[i]);
    if (candidate > magnitude) magnitude = candidate, extreme = values[i];
  }
  return extreme;
}

// Rounds one sub-block with the scale that a reader will see, to bytes from 0 to 2 * bound - 1. Where that scale is 0 the
// search's codes stay: those of code_scale, or byte 0 for a block of zeros.
INLINE void symmetric_round_block(const float *x, int bound, float scale, float code_scale, uint8_t *target) {
  vi codes[16 / VEC_LANES];
  for (int i = 0; i < 16 / VEC_LANES; i++) {
    vf value = vload(x + i * VEC_LANES);
    codes[i] = vnearest_int(scale != 0 ? value / scale : code_scale * value) + bound;
    if (scale == 0 && code_scale == 0) codes[i] = (vi){0};
  }
  vstore_clamped(target, codes, (uint8_t)(2 * bound - 1));
}

#endif
