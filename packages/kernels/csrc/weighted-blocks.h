// Importance for the types of 32-weight blocks: blocks into the lanes of a search, with the weights of its errors.
#ifndef QUERN_WEIGHTED_BLOCKS_H
#define QUERN_WEIGHTED_BLOCKS_H

#include "blocks.h"
#include "search/lanes.h"

// Searches some vectors of blocks and writes the first `count` blocks, which lie at `blocks` one after another.
typedef void weighted_group(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target);

// Sum of the squares of each of up to VEC_LANES rows, one row per lane so that each is summed in order.
INLINE vf row_squares(const float *source, int rows, int64_t columns) {
  const float *lanes[VEC_LANES];
  for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = source + (lane < rows ? lane : rows - 1) * columns;
  vf squares = {0};
  for (int64_t start = 0; start < columns; start += VEC_LANES) {
    vf tile[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = vload(lanes[lane] + start);
    vtranspose(tile);
    for (int i = 0; i < VEC_LANES; i++) squares += tile[i] * tile[i];
  }
  return squares;
}

enum { MOST_WEIGHTED_VECTORS = 2 * STREAMS };

// The weight of an error is importance * sqrt(mean square of the row + x * x). quantize_group takes `vectors` x VEC_LANES blocks.
INLINE void quantize_weighted_blocks(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance,
                                     int block_size, int vectors, weighted_group *quantize_group) {
  int64_t blocks_per_row = columns / BLOCK;
  for (int64_t first_row = 0; first_row < rows; first_row += VEC_LANES) {
    float mean_squares[VEC_LANES];
    vf squares = row_squares(source + first_row * columns, lanes_of(rows - first_row), columns);
    vstore(mean_squares, squares / (float)columns);

    const float *group_source = source + first_row * columns;
    int64_t last = lanes_of(rows - first_row) * blocks_per_row - 1;
    for (int64_t first = 0; first <= last; first += vectors * VEC_LANES) {
      vf x[MOST_WEIGHTED_VECTORS * BLOCK], weights[MOST_WEIGHTED_VECTORS * BLOCK];
      for (int v = 0; v < vectors; v++) {
        const float *lanes[VEC_LANES], *columns_below[VEC_LANES];
        vf sigma2;
        for (int lane = 0; lane < VEC_LANES; lane++) {
          int64_t block = first + v * VEC_LANES + lane;
          if (block > last) block = last;
          lanes[lane] = group_source + block * BLOCK;
          columns_below[lane] = importance + block % blocks_per_row * BLOCK;
          sigma2[lane] = mean_squares[block / blocks_per_row];
        }
        vload_blocks(x + v * BLOCK, lanes, BLOCK);
        vload_blocks(weights + v * BLOCK, columns_below, BLOCK);
        for (int i = v * BLOCK; i < (v + 1) * BLOCK; i++) weights[i] *= vsqrt(sigma2 + x[i] * x[i]);
      }
      int count = (int)(last + 1 - first < vectors * VEC_LANES ? last + 1 - first : vectors * VEC_LANES);
      quantize_group(x, weights, group_source + first * BLOCK, count,
                     target + (first_row * blocks_per_row + first) * block_size);
    }
  }
}

#endif
