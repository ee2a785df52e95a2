// What IQ4_NL and IQ4_XS share: blocks of 32 codes of one scale, value = scale * IQ4_VALUES[code].
#ifndef QUERN_IQ4_BLOCKS_H
#define QUERN_IQ4_BLOCKS_H

#include "search/nonlinear.h"
#include "weighted-blocks.h"

// Best scales of blocks first, first + 1, ... of a matrix, one in each lane; lanes beyond the last block repeat it. The weight of
// an error is x * x, or with importance, importance * sqrt(sigma2 + x * x), where sigma2 has a value for each of these blocks.
INLINE vf iq4_search(const float *source, int64_t first, int64_t last, int64_t blocks_per_row, const float *importance,
                     const float *sigma2) {
  vf x[BLOCK], weights[BLOCK];
  const float *blocks[VEC_LANES], *columns_below[VEC_LANES];
  for (int lane = 0; lane < VEC_LANES; lane++) {
    int64_t block = first + lane < last ? first + lane : last;
    blocks[lane] = source + block * BLOCK;
    if (importance) columns_below[lane] = importance + block % blocks_per_row * BLOCK;
  }
  vload_blocks(x, blocks, BLOCK);
  if (importance) {
    vf added = vload(sigma2);
    vload_blocks(weights, columns_below, BLOCK);
    for (int i = 0; i < BLOCK; i++) weights[i] *= vsqrt(added + x[i] * x[i]);
  } else {
    for (int i = 0; i < BLOCK; i++) weights[i] = x[i] * x[i];
  }
  return nonlinear_search_32(x, weights);
}

// 1 / scale, or 0 for a scale of 0.
INLINE vf iq4_inverse(vf scale) { return vselect(veq(scale, vsplat(0)), vsplat(0), 1.0f / scale); }

// 16 bytes of codes of one block.
INLINE void iq4_store_codes(uint8_t *target, const float *block, float inverse) {
  vi codes[2 * HALF_VECTORS];
  for (int i = 0; i < 2 * HALF_VECTORS; i++) codes[i] = iq4_nearest(vload(block + i * VEC_LANES) * inverse);
  store_nibbles(target, codes);
}

INLINE void iq4_load_values(const vtable *values, const uint8_t *codes, float scale, float *target) {
  for (int i = 0; i < 16; i += VEC_LANES) {
    vi pairs = vload_u8(codes + i);
    vstore(target + i, scale * vlook_up(values, pairs & 15));
    vstore(target + i + 16, scale * vlook_up(values, pairs >> 4));
  }
}

#endif
