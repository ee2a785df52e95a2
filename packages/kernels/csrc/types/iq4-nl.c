// IQ4_NL: blocks of 32 = F16 scale, 16 bytes of codes. value = scale * IQ4_VALUES[code].

#include "iq4-blocks.h"
#include "kernel.h"

enum { IQ4_NL_SIZE = 18 };

static void quantize_iq4_nl(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  int64_t blocks = rows * columns / BLOCK;
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    float sigma2[VEC_LANES] = {0};
    if (importance) vstore(sigma2, row_squares(source + first * BLOCK, count, BLOCK) * (2.0f / BLOCK));
    vf scale = iq4_search(source, first, blocks - 1, columns / BLOCK, importance, sigma2);
    vf inverse = iq4_inverse(scale);
    vi half = vf32_to_f16(scale);
    for (int lane = 0; lane < count; lane++) {
      uint8_t *block = target + (first + lane) * IQ4_NL_SIZE;
      store_u16(block, (uint32_t)half[lane]);
      iq4_store_codes(block + 2, source + (first + lane) * BLOCK, inverse[lane]);
    }
  }
}

static void dequantize_iq4_nl(const uint8_t *source, float *target, int64_t blocks) {
  vtable values = vtable_of(IQ4_VALUES);
  for (int64_t b = 0; b < blocks; b++, source += IQ4_NL_SIZE, target += BLOCK) {
    iq4_load_values(&values, source + 2, f16_to_f32(load_u16(source)), target);
  }
}
