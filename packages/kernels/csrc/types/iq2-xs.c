// IQ2_XS: F16 d, for each of 32 groups 16 bits with the index of its point in 9 bits and 7 signs above it, then the codes of the
// scales of 16 sub-blocks in 4 bits each.

#include "iq2-blocks.h"
#include "iq2.h"
#include "kernel.h"

enum { IQ2_XS_SIZE = 2 + 64 + 8 };

static void iq2_xs_store(const float *scales, const uint16_t *points, const uint8_t *signs, uint8_t *block) {
  uint8_t scale_codes[16];
  float d;
  bool any = iq2_quantize_scales(scales, 16, scale_codes, &d);
  store_u16(block, any ? f32_to_f16(d) : 0);
  for (int k = 0; k < 32; k++) store_u16(block + 2 + 2 * k, any ? points[k] | (uint32_t)signs[k] << 9 : 0);
  for (int j = 0; j < 8; j++) block[66 + j] = any ? (uint8_t)(scale_codes[2 * j] | scale_codes[2 * j + 1] << 4) : 0;
}

static void quantize_iq2_xs(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  const quern_grid *grid = quern_grid_for(GRID_IQ2_XS);
  iq2_fits fits;
  float weights[BATCH * SUPER_BLOCK];
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    weigh_by_importance(&batch, importance, 1, weights);
    iq2_fit_16(&batch, true, GROUP_MAX_EPS, grid, weights, &fits);
    for (int b = 0; b < batch.count; b++) {
      iq2_xs_store(fits.scale + b * 16, fits.point + b * 32, fits.signs + b * 32, target + (first + b) * IQ2_XS_SIZE);
    }
  }
}

static void dequantize_iq2_xs(const uint8_t *source, float *target, int64_t blocks) {
  const uint16_t *points = quern_codebooks[GRID_IQ2_XS].points;
  for (int64_t b = 0; b < blocks; b++, source += IQ2_XS_SIZE) {
    float d = f16_to_f32(load_u16(source));
    for (int k = 0; k < 32; k += 2, target += 2 * GROUP) {
      uint32_t first = load_u16(source + 2 + 2 * k), second = load_u16(source + 4 + 2 * k);
      point_values values = iq2_values(d, source[66 + k / 4] >> k / 2 % 2 * 4 & 15);
      uint32_t signs = iq2_even_signs(first >> 9) | iq2_even_signs(second >> 9) << 8;
      iq2_read_pair(points[first & 511], points[second & 511], signs, &values, target);
    }
  }
}
