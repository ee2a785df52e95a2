// Q5_0: blocks of 32 = F16 scale, 4 bytes with bit 4 of each code, 16 bytes with the lower bits. value = scale * (code - 16).

#include "kernel.h"
#include "symmetric-blocks.h"

enum { Q5_0_SIZE = 22 };

INLINE void q5_0_store(uint8_t *block, uint16_t scale, const vi *codes) {
  store_u16(block, scale);
  store_fifth_bits(block + 2, codes);
  store_nibbles(block + 6, codes);
}

INLINE void q5_0_weighted(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target) {
  quantize_symmetric_group(x, weights, blocks, count, target, 16, Q5_0_SIZE, q5_0_store);
}

static void quantize_q5_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  if (importance)
    quantize_weighted_blocks(source, target, rows, columns, importance, Q5_0_SIZE, STREAMS, q5_0_weighted);
  else
    quantize_symmetric_plain(source, target, rows * columns / BLOCK, 16, Q5_0_SIZE, q5_0_store);
}

static void dequantize_q5_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q5_0_SIZE, target += BLOCK) {
    float scale = f16_to_f32(load_u16(source));
    for (int i = 0; i < 16; i += VEC_LANES) {
      vi codes = vload_u8(source + 6 + i);
      vi fifth = vone_where(vmask_of(load_u16(source + 2) >> i)), upper_fifth = vone_where(vmask_of(load_u16(source + 4) >> i));
      vstore(target + i, vfloat(((codes & 15) | fifth << 4) - 16) * scale);
      vstore(target + i + 16, vfloat((codes >> 4 | upper_fifth << 4) - 16) * scale);
    }
  }
}
