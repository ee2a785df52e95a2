// IQ3_S: super-blocks of 8 x 32 = F16 d, 64 bytes with the lower eight bits of the points of the quads, 8 bytes with their ninth
// bits, 32 bytes of signs, 4 bytes of 4-bit scales, those of odd sub-blocks above.

#include "iq3.h"
#include "kernel.h"

enum { IQ3_S_POINTS = 2, IQ3_S_UPPER = IQ3_S_POINTS + 64, IQ3_S_SIGNS = IQ3_S_UPPER + 8, IQ3_S_SCALES = IQ3_S_SIGNS + 32 };
enum { IQ3_S_SIZE = IQ3_S_SCALES + 4 };

// The reference does not leave room for the points and the signs of an empty sub-block: those that follow move up, so that readers
// take them for those of others. The ninth bits and the scales stay where they belong.
static void iq3_s_store(const iq3_fit *fits, uint8_t *block) {
  uint8_t scales[IQ3_SUB_BLOCKS];
  float d = iq3_scale_codes(fits, scales);
  for (int i = 0; i < IQ3_S_SIZE; i++) block[i] = 0;
  // The factor is the reference's.
  store_u16(block, f32_to_f16(d * 1.033f));
  uint8_t *points = block + IQ3_S_POINTS, *signs = block + IQ3_S_SIGNS;
  for (int b = 0; b < IQ3_SUB_BLOCKS; b++) {
    const iq3_fit *fit = &fits[b];
    block[IQ3_S_SCALES + b / 2] |= (uint8_t)(scales[b] << b % 2 * 4);
    if (fit->empty) continue;
    for (int k = 0; k < QUADS; k++) {
      *points++ = (uint8_t)fit->points[k];
      block[IQ3_S_UPPER + b] |= (uint8_t)(fit->points[k] >> 8 << k);
    }
    for (int g = 0; g < IQ3_SIGNS; g++) *signs++ = fit->signs[g];
  }
}

static void quantize_iq3_s(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  // Zeros are only those that are 0: what is less than the smallest float.
  static const iq3_kind kind = {.grid = GRID_IQ3_S, .reach = 9, .smallest = 0x1p-149f, .even_signs = false, .all_again = true};
  iq3_quantize(&kind, iq3_s_store, IQ3_S_SIZE, source, target, rows, columns, importance);
}

static void dequantize_iq3_s(const uint8_t *source, float *target, int64_t blocks) {
  const uint16_t *points = quern_codebooks[GRID_IQ3_S].points;
  for (int64_t block = 0; block < blocks; block++, source += IQ3_S_SIZE) {
    float d = f16_to_f32(load_u16(source));
    for (int b = 0; b < IQ3_SUB_BLOCKS; b++) {
      const uint8_t *lower = source + IQ3_S_POINTS + b * QUADS, *signs = source + IQ3_S_SIGNS + b * IQ3_SIGNS;
      uint32_t upper = source[IQ3_S_UPPER + b], scale = source[IQ3_S_SCALES + b / 2] >> b % 2 * 4 & 15;
      point_values values = scale_point_values(QUAD_VALUES, d * (float)(1 + 2 * scale));
      for (int k = 0; k < QUADS; k += 4, target += 4 * QUAD) {
        uint32_t codes[4];
        for (int i = 0; i < 4; i++) codes[i] = points[lower[k + i] | (upper >> (k + i) & 1) << 8];
        iq3_read_quads(codes, load_u16(signs + k / 2), &values, target);
      }
    }
  }
}
