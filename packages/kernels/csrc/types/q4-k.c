// Q4_K: super-blocks of 8 x 32 = header of affine-k32.h, 128 bytes of codes. Each 32 bytes hold the codes of two sub-blocks, the
// first in the lower halves.

#include "affine-k32.h"
#include "kernel.h"

enum { Q4_K_SIZE = K32_HEADER + 128 };

static void quantize_q4_k(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  static const k32_search search = {
      .plain = {15, -1.0f, 0.1f, 20},
      .weighted = {15, -0.9f, 0.05f, 36},
      .highest_weighted = 255,
  };
  affine_fits fits;
  affine_codes codes;
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    k32_fit_batch(&batch, &search, importance, &fits, &codes);
    for (int b = 0; b < batch.count; b++, target += Q4_K_SIZE) {
      uint8_t rounded[SUPER_BLOCK];
      k32_round(&batch, b, 15, &fits, &codes, target, rounded);
      for (int pair = 0; pair < 4; pair++) {
        const uint8_t *low = rounded + pair * 64, *high = low + 32;
        uint8_t *packed = target + K32_HEADER + pair * 32;
        for (int i = 0; i < 32; i++) packed[i] = (uint8_t)(low[i] | high[i] << 4);
      }
    }
  }
}

static void dequantize_q4_k(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q4_K_SIZE) {
    float scales[8], mins[8];
    k32_read_scales(source, scales, mins);
    for (int j = 0; j < 8; j += 2, target += 64) {
      const uint8_t *packed = source + K32_HEADER + j * 16;
      for (int i = 0; i < 32; i += VEC_LANES) {
        vi codes = vload_u8(packed + i);
        vstore(target + i, scales[j] * vfloat(codes & 15) - mins[j]);
        vstore(target + i + 32, scales[j + 1] * vfloat(codes >> 4) - mins[j + 1]);
      }
    }
  }
}
