// Q6_K: super-blocks of 16 x 16 = 128 bytes with the lower four bits of the codes, 64 bytes with the upper two, 16 signed bytes
// of scales, F16 d. Codes are 0 to 63 for -32 to 31. Half a super-block takes 64 bytes of lower bits (weights i and i + 64 in
// byte i) and 32 bytes of upper bits (weights i, i + 32, i + 64, i + 96 in byte i).

#include "kernel.h"
#include "symmetric-k.h"

enum { Q6_K_SIZE = 128 + 64 + 16 + 2 };

static void q6_k_pack(const uint8_t *codes, uint8_t *lower, uint8_t *upper) {
  for (int half = 0; half < 2; half++, codes += 128, lower += 64, upper += 32) {
    for (int i = 0; i < 64; i++) lower[i] = (uint8_t)((codes[i] & 15) | codes[i + 64] << 4);
    for (int i = 0; i < 32; i++) {
      upper[i] = (uint8_t)(codes[i] >> 4 | codes[i + 32] >> 4 << 2 | codes[i + 64] >> 4 << 4 | codes[i + 96] >> 4 << 6);
    }
  }
}

static void q6_k_store(const super_block_batch *batch, int b, const symmetric_fits *fits, uint8_t *block) {
  const float *scales = fits->scale + b * 16;
  uint8_t *scale_codes = block + 192, codes[SUPER_BLOCK];
  float extreme = extreme_of_16(scales);
  if (__builtin_fabsf(extreme) < GROUP_MAX_EPS) {
    for (int i = 0; i < Q6_K_SIZE; i++) block[i] = 0;
    return;
  }
  float inverse = -128.0f / extreme;
  uint16_t d = f32_to_f16(1 / inverse);
  for (int j = 0; j < 16; j++) {
    int code = nearest_int(inverse * scales[j]);
    int8_t scale_code = (int8_t)(code < 127 ? code : 127);
    scale_codes[j] = (uint8_t)scale_code;
    symmetric_round_block(batch->source + b * SUPER_BLOCK + j * 16, 32, f16_to_f32(d) * (float)scale_code,
                          fits->code_scale[b * 16 + j], codes + j * 16);
  }
  q6_k_pack(codes, block, block + 128);
  store_u16(block + 208, d);
}

static void quantize_q6_k(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  symmetric_fits fits;
  float weights[BATCH * SUPER_BLOCK];
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    if (importance) load_importance(&batch, importance, weights);
    symmetric_fit_batch(&batch, 32, importance ? weights : NULL, &fits);
    for (int b = 0; b < batch.count; b++) q6_k_store(&batch, b, &fits, target + (first + b) * Q6_K_SIZE);
  }
}

static void dequantize_q6_k(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q6_K_SIZE, target += SUPER_BLOCK) {
    float d = f16_to_f32(load_u16(source + 208));
    for (int j = 0; j < 16; j++) {
      float scale = d * (float)(int8_t)source[192 + j];
      int half = j / 8, quarter = j / 2 % 4;
      const uint8_t *lower = source + half * 64 + j % 4 * 16, *upper = source + 128 + half * 32 + j % 2 * 16;
      for (int i = 0; i < 16; i += VEC_LANES) {
        vi codes = (vload_u8(lower + i) >> quarter / 2 * 4 & 15) | (vload_u8(upper + i) >> quarter * 2 & 3) << 4;
        vstore(target + j * 16 + i, scale * vfloat(codes - 32));
      }
    }
  }
}
