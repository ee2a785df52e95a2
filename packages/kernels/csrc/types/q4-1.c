// Q4_1: blocks of 32 = F16 scale, F16 minimum, 16 bytes of codes 0 ... 15. value = scale * code + minimum.

#include "affine-blocks.h"
#include "kernel.h"

enum { Q4_1_SIZE = 20 };

INLINE void q4_1_store(uint8_t *block, uint16_t scale, uint16_t minimum, const vi *codes) {
  store_u16(block, scale);
  store_u16(block + 2, minimum);
  store_nibbles(block + 4, codes);
}

INLINE void q4_1_weighted(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target) {
  static const affine_grid grid = {15, -0.9f, 0.05f, 36};
  quantize_affine_group(x, weights, blocks, count, target, &grid, Q4_1_SIZE, q4_1_store);
}

static void quantize_q4_1(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  if (importance)
    quantize_weighted_blocks(source, target, rows, columns, importance, Q4_1_SIZE, AFFINE_TURNS * STREAMS, q4_1_weighted);
  else
    quantize_affine_plain(source, target, rows * columns / BLOCK, 15, Q4_1_SIZE, q4_1_store);
}

static void dequantize_q4_1(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q4_1_SIZE, target += BLOCK) {
    float scale = f16_to_f32(load_u16(source)), minimum = f16_to_f32(load_u16(source + 2));
    for (int i = 0; i < 16; i += VEC_LANES) {
      vi codes = vload_u8(source + 4 + i);
      vstore(target + i, vfloat(codes & 15) * scale + minimum);
      vstore(target + i + 16, vfloat(codes >> 4) * scale + minimum);
    }
  }
}
