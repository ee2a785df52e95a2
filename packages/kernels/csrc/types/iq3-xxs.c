// IQ3_XXS: super-blocks of 8 x 32 = F16 d, 64 bytes with the points of the quads, and for each sub-block 32 bits with four times
// seven signs and, above them, a 4-bit scale. Of eight signs, the product is positive.

#include "iq3.h"
#include "kernel.h"

enum { IQ3_XXS_SIZE = 2 + 64 + 32 };

static void iq3_xxs_store(const iq3_fit *fits, uint8_t *block) {
  uint8_t scales[IQ3_SUB_BLOCKS];
  float d = iq3_scale_codes(fits, scales);
  if (d == 0) {
    for (int i = 0; i < IQ3_XXS_SIZE; i++) block[i] = 0;
    return;
  }
  // The factor is the reference's.
  store_u16(block, f32_to_f16(d * 1.0125f));
  for (int b = 0; b < IQ3_SUB_BLOCKS; b++) {
    const iq3_fit *fit = &fits[b];
    uint32_t bits = (uint32_t)scales[b] << 28;
    for (int g = 0; g < IQ3_SIGNS; g++) bits |= (uint32_t)fit->signs[g] << 7 * g;
    for (int k = 0; k < QUADS; k++) block[2 + b * QUADS + k] = (uint8_t)fit->points[k];
    store_u16(block + 66 + 4 * b, bits);
    store_u16(block + 68 + 4 * b, bits >> 16);
  }
}

static void quantize_iq3_xxs(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  static const iq3_kind kind = {.grid = GRID_IQ3_XXS, .reach = 15, .smallest = 1e-8f, .even_signs = true, .all_again = false};
  iq3_quantize(&kind, iq3_xxs_store, IQ3_XXS_SIZE, source, target, rows, columns, importance);
}

static void dequantize_iq3_xxs(const uint8_t *source, float *target, int64_t blocks) {
  // What the bytes of iq3xxs_grid in ggml-common.h are: four times the values of the search, but for the last one.
  static const float magnitudes[2 * QUAD_LEVELS] = {4, 12, 20, 28, 36, 44, 52, 62, 4, 12, 20, 28, 36, 44, 52, 62};
  const uint16_t *points = quern_codebooks[GRID_IQ3_XXS].points;
  for (int64_t block = 0; block < blocks; block++, source += IQ3_XXS_SIZE) {
    float d = f16_to_f32(load_u16(source));
    for (int b = 0; b < IQ3_SUB_BLOCKS; b++) {
      const uint8_t *bits = source + 66 + 4 * b, *indices = source + 2 + b * QUADS;
      uint32_t packed = load_u16(bits) | (uint32_t)load_u16(bits + 2) << 16;
      point_values values = scale_point_values(magnitudes, d * (0.5f + (float)(packed >> 28)) * 0.5f);
      for (int k = 0; k < QUADS; k += 4, target += 4 * QUAD, packed >>= 14) {
        uint32_t codes[4], seven = packed & 127, next = packed >> 7 & 127;
        for (int i = 0; i < 4; i++) codes[i] = points[indices[k + i]];
        uint32_t signs = seven | (uint32_t)__builtin_parity(seven) << 7 | next << 8 | (uint32_t)__builtin_parity(next) << 15;
        iq3_read_quads(codes, signs, &values, target);
      }
    }
  }
}
