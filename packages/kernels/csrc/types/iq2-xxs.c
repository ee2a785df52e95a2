// IQ2_XXS: F16 d, then for each of 8 sub-blocks of 32 weights the indices of 4 points in a byte each, and 32 bits with 4 x 7
// signs and, above them, the code of the scale.

#include "iq2-blocks.h"
#include "iq2.h"
#include "kernel.h"
#include "search/positive.h"

enum { IQ2_XXS_SIZE = 2 + 64 };

static void iq2_xxs_fit_batch(const super_block_batch *batch, const quern_grid *grid, const float *weights, iq2_fits *fits) {
  int last = batch->count * 8 - 1;
  for (int first = 0; first <= last; first += LANE_BLOCKS) {
    iq2_tile tile;
    vf positive_codes[STREAMS * 32], scale[STREAMS], extent[STREAMS];
    vi codes[STREAMS * 4] = {0};
    vm empty[STREAMS];
    iq2_load(32, true, batch->source, weights, first, last, &tile);
    positive_search(32, 4, tile.x, tile.weights, positive_codes, scale);
    EACH_STREAM {
      extent[s] = scale[s] * 3.0f;
      empty[s] = vlt(tile.largest[s], vsplat(GROUP_MAX_EPS)) | vlt(extent[s], vsplat(0)) | veq(extent[s], vsplat(0));
      extent[s] = vselect(empty[s], vsplat(1), extent[s]);
    }
    iq2_search(32, 6, false, grid, &tile, extent, scale, codes);
    iq2_store(32, true, grid, &tile, empty, scale, codes, first, fits);
  }
}

static void iq2_xxs_store(const float *scales, const uint16_t *points, const uint8_t *signs, uint8_t *block) {
  uint8_t scale_codes[8];
  float d;
  bool any = iq2_quantize_scales(scales, 8, scale_codes, &d);
  store_u16(block, any ? f32_to_f16(d) : 0);
  block += 2;
  for (int j = 0; j < 8; j++, block += 8, points += 4, signs += 4) {
    uint32_t upper = (uint32_t)scale_codes[j] << 28;
    for (int k = 0; k < 4; k++) {
      block[k] = any ? (uint8_t)points[k] : 0;
      upper |= (uint32_t)signs[k] << 7 * k;
    }
    store_u16(block + 4, any ? upper & 0xffff : 0);
    store_u16(block + 6, any ? upper >> 16 : 0);
  }
}

static void quantize_iq2_xxs(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  const quern_grid *grid = quern_grid_for(GRID_IQ2_XXS);
  iq2_fits fits;
  float weights[BATCH * SUPER_BLOCK];
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    weigh_by_importance(&batch, importance, 1, weights);
    iq2_xxs_fit_batch(&batch, grid, weights, &fits);
    for (int b = 0; b < batch.count; b++) {
      iq2_xxs_store(fits.scale + b * 8, fits.point + b * 32, fits.signs + b * 32, target + (first + b) * IQ2_XXS_SIZE);
    }
  }
}

static void dequantize_iq2_xxs(const uint8_t *source, float *target, int64_t blocks) {
  const uint16_t *points = quern_codebooks[GRID_IQ2_XXS].points;
  for (int64_t b = 0; b < blocks; b++, source += IQ2_XXS_SIZE) {
    float d = f16_to_f32(load_u16(source));
    for (int j = 0; j < 8; j++) {
      const uint8_t *block = source + 2 + j * 8;
      uint32_t upper = load_u16(block + 4) | (uint32_t)load_u16(block + 6) << 16;
      point_values values = iq2_values(d, upper >> 28);
      for (int k = 0; k < 4; k += 2, target += 2 * GROUP) {
        uint32_t signs = iq2_even_signs(upper >> 7 * k & 127) | iq2_even_signs(upper >> 7 * (k + 1) & 127) << 8;
        iq2_read_pair(points[block[k]], points[block[k + 1]], signs, &values, target);
      }
    }
  }
}
