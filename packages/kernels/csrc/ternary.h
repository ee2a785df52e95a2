// What TQ1_0, TQ2_0 and Q2_0 share: value = scale * (code - 1) with codes 0, 1 and 2, and the largest magnitude of a block is its
// scale. ggml ignores importance here.
#ifndef QUERN_TERNARY_H
#define QUERN_TERNARY_H

#include "blocks.h"

// value times the inverse of the scale, rounded to nearest with ties away from zero: -1, 0 or 1.
INLINE vi ternary_round(vf value, vf inverse) { return vround_away(value * inverse); }

// ---- TQ1_0 and TQ2_0, blocks of 256

enum { TERNARY_BLOCK = 256 };

// Packs one block into everything but its scale.
typedef void ternary_pack(const float *block, vf inverse, uint8_t *target);

// The scales of VEC_LANES blocks are computed in lanes, then each block is rounded by itself.
INLINE void quantize_ternary(const float *source, uint8_t *target, int64_t blocks, int block_size, int scale_offset,
                             ternary_pack *pack) {
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    vf scale = block_magnitudes(source + first * TERNARY_BLOCK, TERNARY_BLOCK, count);
    vf inverse = inverse_or_zero(scale);
    vi half = vf32_to_f16(scale);
    for (int lane = 0; lane < count; lane++) {
      uint8_t *block = target + (first + lane) * block_size;
      pack(source + (first + lane) * TERNARY_BLOCK, vsplat(inverse[lane]), block);
      store_u16(block + scale_offset, (uint32_t)half[lane]);
    }
  }
}

#endif
