// Q2_0: blocks of 64 = F16 scale, 16 bytes of codes, four in a byte, lowest bits first. value = scale * (code - 1); the quantizer
// makes no use of code 3.

#include "kernel.h"
#include "ternary.h"

enum { Q2_0_BLOCK = 64, Q2_0_SIZE = 2 + 16 };

static void quantize_q2_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t blocks = rows * columns / Q2_0_BLOCK;
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    const float *lanes[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = source + (first + (lane < count ? lane : count - 1)) * Q2_0_BLOCK;
    vf x[Q2_0_BLOCK], scale = {0};
    vload_blocks(x, lanes, Q2_0_BLOCK);
    for (int i = 0; i < Q2_0_BLOCK; i++) scale = vmax(scale, vabs(x[i]));

    vf inverse = inverse_or_zero(scale);
    vi half = vf32_to_f16(scale), words[4];
    // Every code is 0 where the inverse of a scale other than 0 overflows.
    vm overflow = veq(inverse, vsplat(0)) & vmask_not(veq(scale, vsplat(0)));
    for (int word = 0; word < 4; word++) {
      vi codes = vsplat_int(0x55555555);
      for (int i = 0; i < 16; i++) codes += ternary_round(x[word * 16 + i], inverse) << 2 * i;
      words[word] = vselect_int(overflow, vsplat_int(0), codes);
    }
    for (int lane = 0; lane < count; lane++) {
      uint8_t *block = target + (first + lane) * Q2_0_SIZE;
      store_u16(block, (uint32_t)half[lane]);
      for (int word = 0; word < 4; word++) store_u32(block + 2 + 4 * word, (uint32_t)words[word][lane]);
    }
  }
}

static void dequantize_q2_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q2_0_SIZE, target += Q2_0_BLOCK) {
    float scale = f16_to_f32(load_u16(source));
    for (int i = 0; i < Q2_0_BLOCK; i++) target[i] = (float)((source[2 + i / 4] >> i % 4 * 2 & 3) - 1) * scale;
  }
}
