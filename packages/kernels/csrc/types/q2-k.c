// Q2_K: super-blocks of 16 x 16 = 16 bytes with a 4-bit scale and, above it, a 4-bit minimum each, 64 bytes of codes
// (two-bits.h), F16 d and dmin.

#include "affine-k.h"
#include "kernel.h"
#include "two-bits.h"

enum { Q2_K_SIZE = 16 + 64 + 4 };

static void q2_k_weigh(affine_element *elements) {
  for (int i = 0; i < 16; i++) EACH_STREAM elements[i].weight[s] = vabs(elements[i].x[s]);
}

static void q2_k_fit_batch(const super_block_batch *batch, const float *importance, affine_fits *fits, affine_codes *codes) {
  static const affine_grid plain = {3, -0.5f, 0.1f, 15}, weighted = {3, -0.9f, 0.05f, 36};
  if (importance) {
    float weights[BATCH * SUPER_BLOCK];
    weigh_by_importance(batch, importance, 1, weights);
    affine_fit_batch(batch, 16, affine_search_16, &weighted, weights, NULL, fits);
    affine_codes_weighted(batch, 16, 15, 255, fits, codes);
  } else {
    affine_fit_batch(batch, 16, affine_search_16_absolute, &plain, NULL, q2_k_weigh, fits);
    affine_codes_evenly(batch, 16, 15, 255, fits, codes);
  }
}

static void quantize_q2_k(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  affine_fits fits;
  affine_codes codes;
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    q2_k_fit_batch(&batch, importance, &fits, &codes);
    for (int b = 0; b < batch.count; b++, target += Q2_K_SIZE) {
      uint16_t d = f32_to_f16(codes.d[b]), dmin = f32_to_f16(codes.dmin[b]);
      uint8_t rounded[SUPER_BLOCK];
      for (int j = 0; j < 16; j++) {
        int at = b * 16 + j;
        target[j] = (uint8_t)(codes.scale[at] | codes.min[at] << 4);
        float scale = f16_to_f32(d) * (float)(target[j] & 15), min = f16_to_f32(dmin) * (float)(target[j] >> 4);
        affine_round_block(batch.source + at * 16, 16, 3, scale, min, fits.code_scale[at], fits.code_min[at], rounded + j * 16);
      }
      pack_two_bits(rounded, target + 16);
      store_u16(target + 80, d);
      store_u16(target + 82, dmin);
    }
  }
}

static void dequantize_q2_k(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q2_K_SIZE, target += SUPER_BLOCK) {
    float d = f16_to_f32(load_u16(source + 80)), dmin = f16_to_f32(load_u16(source + 82));
    for (int j = 0; j < 16; j++) {
      float scale = d * (float)(source[j] & 15), min = dmin * (float)(source[j] >> 4);
      const uint8_t *packed = two_bits_of(source + 16, j);
      for (int i = 0; i < 16; i += VEC_LANES) {
        vi codes = vload_u8(packed + i) >> two_bits_shift(j) & 3;
        vstore(target + j * 16 + i, scale * vfloat(codes) - min);
      }
    }
  }
}
