// Q4_0: blocks of 32 = F16 scale, 16 bytes of codes 0 ... 15. value = scale * (code - 8).

#include "kernel.h"
#include "symmetric-blocks.h"

enum { Q4_0_SIZE = 18 };

INLINE void q4_0_store(uint8_t *block, uint16_t scale, const vi *codes) {
  store_u16(block, scale);
  store_nibbles(block + 2, codes);
}

INLINE void q4_0_weighted(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target) {
  quantize_symmetric_group(x, weights, blocks, count, target, 8, Q4_0_SIZE, q4_0_store);
}

static void quantize_q4_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  if (importance)
    quantize_weighted_blocks(source, target, rows, columns, importance, Q4_0_SIZE, STREAMS, q4_0_weighted);
  else
    quantize_symmetric_plain(source, target, rows * columns / BLOCK, 8, Q4_0_SIZE, q4_0_store);
}

static void dequantize_q4_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q4_0_SIZE, target += BLOCK) {
    float scale = f16_to_f32(load_u16(source));
    for (int i = 0; i < 16; i += VEC_LANES) {
      vi codes = vload_u8(source + 2 + i);
      vstore(target + i, vfloat((codes & 15) - 8) * scale);
      vstore(target + i + 16, vfloat((codes >> 4) - 8) * scale);
    }
  }
}
