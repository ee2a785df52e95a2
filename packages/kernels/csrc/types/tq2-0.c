// TQ2_0: blocks of 256 = 64 bytes of codes (laid out as in two-bits.h), F16 scale. value = scale * (code - 1).

#include "kernel.h"
#include "ternary.h"
#include "two-bits.h"

enum { TQ2_0_SIZE = 64 + 2 };

INLINE void tq2_0_pack(const float *x, vf inverse, uint8_t *target) {
  for (int part = 0; part < 4; part++) {
    const float *first = x + part / 2 * 128 + part % 2 * 16;
    vi bytes[HALF_VECTORS];
    for (int i = 0; i < HALF_VECTORS; i++) {
      bytes[i] = vsplat_int(0x55);
      for (int j = 0; j < 4; j++) bytes[i] += ternary_round(vload(first + j * 32 + i * VEC_LANES), inverse) << 2 * j;
    }
    vstore_uint8(target + part * 16, bytes);
  }
}

static void quantize_tq2_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  quantize_ternary(source, target, rows * columns / TERNARY_BLOCK, TQ2_0_SIZE, 64, tq2_0_pack);
}

static void dequantize_tq2_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += TQ2_0_SIZE, target += TERNARY_BLOCK) {
    float scale = f16_to_f32(load_u16(source + 64));
    for (int j = 0; j < 16; j++) {
      const uint8_t *packed = two_bits_of(source, j);
      for (int i = 0; i < 16; i += VEC_LANES) {
        vi codes = vload_u8(packed + i) >> two_bits_shift(j) & 3;
        vstore(target + j * 16 + i, vfloat(codes - 1) * scale);
      }
    }
  }
}
