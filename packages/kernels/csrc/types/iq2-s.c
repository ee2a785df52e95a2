// IQ2_S: F16 d, for each of 32 groups the lower 8 bits of the index of its point, then 8 signs each, then the upper two bits of
// the indices, then the codes of the scales of 16 sub-blocks in 4 bits each.

#include "iq2-blocks.h"
#include "iq2.h"
#include "kernel.h"

enum { IQ2_S_SIZE = 2 + 32 + 32 + 8 + 8 };

// Without importance, the weight of an error is sigma2 / 4 + x * x, where sigma2 is twice the mean square of the super-block.
static void iq2_s_weigh(const super_block_batch *batch, float *weights) {
  vf sigma2 = 2 * sum_squares(batch) / (float)SUPER_BLOCK;
  for (int b = 0; b < batch->count; b++) {
    float base = 0.25f * sigma2[b];
    for (int i = b * SUPER_BLOCK; i < (b + 1) * SUPER_BLOCK; i += VEC_LANES) {
      vf x = vload(batch->source + i);
      vstore(weights + i, base + x * x);
    }
  }
}

static void iq2_s_store(const float *scales, const uint16_t *points, const uint8_t *signs, uint8_t *block) {
  uint8_t scale_codes[16], *upper = block + 66, *packed_scales = block + 74;
  float d;
  bool any = iq2_quantize_scales(scales, 16, scale_codes, &d);
  store_u16(block, any ? f32_to_f16(d * 0.9875f) : 0);
  for (int k = 0; k < 32; k++) {
    block[2 + k] = (uint8_t)points[k];
    block[34 + k] = signs[k];
  }
  for (int j = 0; j < 8; j++, points += 4) {
    upper[j] = (uint8_t)(points[0] >> 8 | points[1] >> 8 << 2 | points[2] >> 8 << 4 | points[3] >> 8 << 6);
    packed_scales[j] = any ? (uint8_t)(scale_codes[2 * j] | scale_codes[2 * j + 1] << 4) : 0;
  }
}

static void quantize_iq2_s(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  const float threshold = 1e-8f; // GROUP_MAX_EPS_IQ2_S
  const quern_grid *grid = quern_grid_for(GRID_IQ2_S);
  iq2_fits fits;
  float weights[BATCH * SUPER_BLOCK];
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    if (importance)
      weigh_by_importance(&batch, importance, 2, weights);
    else
      iq2_s_weigh(&batch, weights);
    iq2_fit_16(&batch, false, threshold, grid, weights, &fits);
    for (int b = 0; b < batch.count; b++) {
      iq2_s_store(fits.scale + b * 16, fits.point + b * 32, fits.signs + b * 32, target + (first + b) * IQ2_S_SIZE);
    }
  }
}

INLINE uint16_t iq2_s_point(const uint16_t *points, const uint8_t *block, int k) {
  return points[block[2 + k] | (uint32_t)(block[66 + k / 4] >> k % 4 * 2 & 3) << 8];
}

static void dequantize_iq2_s(const uint8_t *source, float *target, int64_t blocks) {
  const uint16_t *points = quern_codebooks[GRID_IQ2_S].points;
  for (int64_t b = 0; b < blocks; b++, source += IQ2_S_SIZE) {
    float d = f16_to_f32(load_u16(source));
    for (int k = 0; k < 32; k += 2, target += 2 * GROUP) {
      point_values values = iq2_values(d, source[74 + k / 4] >> k / 2 % 2 * 4 & 15);
      uint16_t first = iq2_s_point(points, source, k), second = iq2_s_point(points, source, k + 1);
      iq2_read_pair(first, second, load_u16(source + 34 + k), &values, target);
    }
  }
}
