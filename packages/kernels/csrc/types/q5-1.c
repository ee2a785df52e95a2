// Q5_1: blocks of 32 = F16 scale, F16 minimum, 4 bytes with bit 4 of each code, 16 bytes with the lower bits.
// value = scale * code + minimum.

#include "affine-blocks.h"
#include "kernel.h"

enum { Q5_1_SIZE = 24 };

INLINE void q5_1_store(uint8_t *block, uint16_t scale, uint16_t minimum, const vi *codes) {
  store_u16(block, scale);
  store_u16(block + 2, minimum);
  store_fifth_bits(block + 4, codes);
  store_nibbles(block + 8, codes);
}

INLINE void q5_1_weighted(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target) {
  static const affine_grid grid = {31, -0.9f, 0.05f, 36};
  quantize_affine_group(x, weights, blocks, count, target, &grid, Q5_1_SIZE, q5_1_store);
}

static void quantize_q5_1(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  if (importance)
    quantize_weighted_blocks(source, target, rows, columns, importance, Q5_1_SIZE, AFFINE_TURNS * STREAMS, q5_1_weighted);
  else
    quantize_affine_plain(source, target, rows * columns / BLOCK, 31, Q5_1_SIZE, q5_1_store);
}

static void dequantize_q5_1(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q5_1_SIZE, target += BLOCK) {
    float scale = f16_to_f32(load_u16(source)), minimum = f16_to_f32(load_u16(source + 2));
    for (int i = 0; i < 16; i += VEC_LANES) {
      vi codes = vload_u8(source + 8 + i);
      vi fifth = vone_where(vmask_of(load_u16(source + 4) >> i)), upper_fifth = vone_where(vmask_of(load_u16(source + 6) >> i));
      vstore(target + i, vfloat((codes & 15) | fifth << 4) * scale + minimum);
      vstore(target + i + 16, vfloat(codes >> 4 | upper_fifth << 4) * scale + minimum);
    }
  }
}
