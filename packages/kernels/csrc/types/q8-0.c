// Q8_0: blocks of 32 = F16 scale, 32 signed bytes. value = scale * byte. ggml ignores importance here.

#include "blocks.h"
#include "half.h"
#include "kernel.h"

enum { Q8_0_SIZE = 34 };

// The scales of VEC_LANES blocks are computed in lanes, then each block is rounded by itself.
static void quantize_q8_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t blocks = rows * columns / BLOCK;
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    vf scale = block_magnitudes(source + first * BLOCK, BLOCK, count) / 127.0f;
    vf inverse = inverse_or_zero(scale);
    vi half = vf32_to_f16(scale);

    for (int lane = 0; lane < count; lane++) {
      uint8_t *block = target + (first + lane) * Q8_0_SIZE;
      vf factor = vsplat(inverse[lane]);
      store_u16(block, (uint32_t)half[lane]);
      for (int part = 0; part < BLOCK; part += 16) {
        vi codes[HALF_VECTORS];
        for (int i = 0; i < HALF_VECTORS; i++) {
          vf x = vload(source + (first + lane) * BLOCK + part + i * VEC_LANES);
          codes[i] = vround_away(x * factor);
        }
        vstore_int8(block + 2 + part, codes);
      }
    }
  }
}

static void dequantize_q8_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q8_0_SIZE, target += BLOCK) {
    float scale = f16_to_f32(load_u16(source));
    for (int i = 0; i < BLOCK; i += VEC_LANES) vstore(target + i, vfloat(vload_i8(source + 2 + i)) * scale);
  }
}
