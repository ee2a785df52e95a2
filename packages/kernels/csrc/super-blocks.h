// K types store super-blocks of 256 weights, whose 8 or 16 sub-blocks have quantized scales. They are worked on in batches of
// BATCH super-blocks: their sub-blocks fill the lanes of the searches, and what is computed once per super-block has one in
// each lane.
#ifndef QUERN_SUPER_BLOCKS_H
#define QUERN_SUPER_BLOCKS_H

#include <stddef.h>

#include "half.h"
#include "search/lanes.h"

enum { SUPER_BLOCK = 256, BATCH = VEC_LANES, SUB_BLOCKS = 16 /* at most */ };

typedef struct {
  const float *source;
  int64_t first;     // index of the first super-block in the matrix
  int64_t per_row;   // super-blocks
  int count;         // 1 ... BATCH
} super_block_batch;

INLINE super_block_batch next_batch(const float *source, int64_t first, int64_t total, int64_t columns) {
  int64_t left = total - first;
  return (super_block_batch){source + first * SUPER_BLOCK, first, columns / SUPER_BLOCK, left < BATCH ? (int)left : BATCH};
}

// ggml's nearest_int; vnearest says what it makes of values out of range.
INLINE int32_t nearest_int(float value) { return (int32_t)(float_bits(value + ROUND_MAGIC) & 0x007fffff) - 0x00400000; }

// The importance of the 256 columns under one super-block of a batch.
INLINE const float *batch_importance(const super_block_batch *batch, int index, const float *importance) {
  return importance + (batch->first + index) % batch->per_row * SUPER_BLOCK;
}

// Search weights that are the importance alone.
NOINLINE void load_importance(const super_block_batch *batch, const float *importance, float *weights) {
  for (int b = 0; b < batch->count; b++) {
    const float *columns = batch_importance(batch, b, importance);
    for (int i = 0; i < SUPER_BLOCK; i += VEC_LANES) vstore(weights + b * SUPER_BLOCK + i, vload(columns + i));
  }
}

// The sum of the squares of each super-block of a batch, in the order of the weights.
NOINLINE vf sum_squares(const super_block_batch *batch) {
  const float *lanes[VEC_LANES];
  for (int lane = 0; lane < VEC_LANES; lane++) {
    lanes[lane] = batch->source + (lane < batch->count ? lane : batch->count - 1) * SUPER_BLOCK;
  }
  vf squares = {0};
  for (int start = 0; start < SUPER_BLOCK; start += VEC_LANES) {
    vf tile[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = vload(lanes[lane] + start);
    vtranspose(tile);
    for (int i = 0; i < VEC_LANES; i++) squares += tile[i] * tile[i];
  }
  return squares;
}

// Search weights of ggml's importance-weighted K types: importance * sqrt(sigma2 + x * x), where sigma2 is
// factor * (sum of squares of the super-block) / 256.
NOINLINE void weigh_by_importance(const super_block_batch *batch, const float *importance, float factor, float *weights) {
  vf sigma2 = factor * sum_squares(batch) / (float)SUPER_BLOCK;
  for (int b = 0; b < batch->count; b++) {
    const float *columns = batch_importance(batch, b, importance);
    for (int i = 0; i < SUPER_BLOCK; i += VEC_LANES) {
      vf x = vload(batch->source + b * SUPER_BLOCK + i);
      vstore(weights + b * SUPER_BLOCK + i, vload(columns + i) * vsqrt(sigma2[b] + x * x));
    }
  }
}

// Puts the values of each super-block of a batch into a lane, those of lanes beyond the batch repeating the last one's.
INLINE void values_to_lanes(const float *values, int per_block, int count, vf *tile) {
  for (int i = 0; i < per_block; i++) {
    for (int lane = 0; lane < VEC_LANES; lane++) {
      tile[i][lane] = values[(lane < count ? lane : count - 1) * per_block + i];
    }
  }
}

#endif
