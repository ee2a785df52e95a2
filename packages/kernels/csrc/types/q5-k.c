// Q5_K: super-blocks of 8 x 32 = header of affine-k32.h, 32 bytes with the upper bit of the codes (upper-bits.h), 128 bytes with
// the lower four as in Q4_K.

#include "affine-k32.h"
#include "kernel.h"
#include "upper-bits.h"

enum { Q5_K_SIZE = K32_HEADER + 32 + 128 };

static void quantize_q5_k(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  static const k32_search search = {
      .plain = {31, -0.5f, 0.1f, 15},
      .weighted = {31, -0.9f, 0.05f, 36},
      .highest_weighted = 63,
  };
  affine_fits fits;
  affine_codes codes;
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    k32_fit_batch(&batch, &search, importance, &fits, &codes);
    for (int b = 0; b < batch.count; b++, target += Q5_K_SIZE) {
      uint8_t rounded[SUPER_BLOCK], *upper = target + K32_HEADER;
      k32_round(&batch, b, 31, &fits, &codes, target, rounded);
      pack_upper_bits(rounded, 4, upper);
      for (int pair = 0; pair < 4; pair++) {
        const uint8_t *low = rounded + pair * 64, *high = low + 32;
        uint8_t *packed = upper + 32 + pair * 32;
        for (int i = 0; i < 32; i++) packed[i] = (uint8_t)((low[i] & 15) | high[i] << 4);
      }
    }
  }
}

static void dequantize_q5_k(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q5_K_SIZE) {
    const uint8_t *fifth = source + K32_HEADER;
    float scales[8], mins[8];
    k32_read_scales(source, scales, mins);
    for (int j = 0; j < 8; j += 2, target += 64) {
      const uint8_t *packed = fifth + 32 + j * 16;
      for (int i = 0; i < 32; i += VEC_LANES) {
        vi codes = vload_u8(packed + i), bits = vload_u8(fifth + i) >> j;
        vstore(target + i, scales[j] * vfloat((codes & 15) | (bits & 1) << 4) - mins[j]);
        vstore(target + i + 32, scales[j + 1] * vfloat(codes >> 4 | (bits & 2) << 3) - mins[j + 1]);
      }
    }
  }
}
