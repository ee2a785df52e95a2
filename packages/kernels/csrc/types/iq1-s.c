// IQ1_S: super-blocks of 8 x 32 = F16 d, 32 bytes with the lower eight bits of codebook indices, 8 x 16 bits: three upper bits of
// four indices, lowest first, a 3-bit scale, and a bit that shifts down. value = d * (2 * scale + 1) * (level - 1 + shift).

#include "iq1.h"
#include "kernel.h"

enum { IQ1_S_SIZE = 2 + 32 + 16 };

// Shares of a split's sums that the lower, the middle and the upper part of the sorted weights have, by shift.
typedef struct {
  vf sum_x[33], sum_w[33];
  vf lower_x[2][33], lower_w[2][33], upper_x[2][33], upper_w[2][33];
} iq1_s_tables;

INLINE void iq1_s_sum(const void *pointer, int first, int second, split_sums *sums) {
  const iq1_s_tables *tables = pointer;
  vf middle_x = (tables->sum_x[second] - tables->sum_x[first]) * IQ1_DELTA;
  vf middle_w = (tables->sum_w[second] - tables->sum_w[first]) * IQ1_DELTA * IQ1_DELTA;
  sums->x[0] = tables->lower_x[0][first] + middle_x + tables->upper_x[0][second];
  sums->x[1] = tables->lower_x[1][first] - middle_x + tables->upper_x[1][second];
  for (int shift = 0; shift < 2; shift++) {
    sums->squares[shift] = tables->lower_w[shift][first] + middle_w + tables->upper_w[shift][second];
  }
}

static void iq1_s_split(const vf *x, const vf *weights, const vi *ranks, ternary_split *split) {
  static const int shift_bits[2] = {0, 15}; // of all four groups
  iq1_s_tables tables;
  vf weighted[32];
  for (int i = 0; i < 32; i++) weighted[i] = weights[i] * x[i];
  ranked_prefix_sums(weighted, ranks, 32, tables.sum_x);
  ranked_prefix_sums(weights, ranks, 32, tables.sum_w);
  for (int shift = 0; shift < 2; shift++) {
    float low = IQ1_VALUES[shift][0], high = IQ1_VALUES[shift][2];
    for (int i = 0; i <= 32; i++) {
      tables.lower_x[shift][i] = tables.sum_x[i] * low;
      tables.lower_w[shift][i] = tables.sum_w[i] * low * low;
      tables.upper_x[shift][i] = (tables.sum_x[32] - tables.sum_x[i]) * high;
      tables.upper_w[shift][i] = (tables.sum_w[32] - tables.sum_w[i]) * high * high;
    }
  }
  find_ternary_split(32, 2, shift_bits, iq1_s_sum, &tables, tables.sum_w[32], split);
}

static void iq1_s_store(const iq1_fits *fits, int b, uint8_t *target) {
  const float *scales = fits->scale + b * 8;
  float largest = iq1_largest_scale(scales, 8);
  uint8_t codes[8] = {0};
  if (largest > 0) iq1_round_scales(scales, 8, largest, codes);
  store_u16(target, largest == largest ? f32_to_f16(largest / 15 * 1.125f) : F16_EXPONENT);
  for (int i = 0; i < 8; i++) {
    uint32_t upper = (uint32_t)codes[i] << 12 | (largest > 0 && fits->shifts[b * 8 + i] ? 0x8000u : 0);
    for (int k = 0; k < 4; k++) {
      uint32_t index = grid_point(fits->entries[b * IQ1_GROUPS + 4 * i + k]);
      target[2 + 4 * i + k] = (uint8_t)index;
      upper |= index >> 8 << 3 * k;
    }
    store_u16(target + 34 + 2 * i, upper);
  }
}

static void quantize_iq1_s(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  const quern_grid *grid = quern_grid_for(GRID_IQ1);
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    float weights[BATCH * SUPER_BLOCK];
    iq1_fits fits;
    weigh_by_importance(&batch, importance, 2, weights);
    iq1_fit(&batch, weights, grid, 32, 1e-12f, iq1_s_split, &fits);
    for (int b = 0; b < batch.count; b++) iq1_s_store(&fits, b, target + (first + b) * IQ1_S_SIZE);
  }
}

static void dequantize_iq1_s(const uint8_t *source, float *target, int64_t blocks) {
  const uint16_t *points = quern_codebooks[GRID_IQ1].points;
  for (int64_t b = 0; b < blocks; b++, source += IQ1_S_SIZE) {
    float d = f16_to_f32(load_u16(source));
    for (int i = 0; i < 8; i++) {
      uint32_t upper = load_u16(source + 34 + 2 * i);
      float scale = d * (float)(2 * (upper >> 12 & 7) + 1);
      for (int k = 0; k < 4; k++, target += GROUP) {
        iq1_read_group(points[source[2 + 4 * i + k] | (upper >> 3 * k & 7) << 8], scale, upper >> 15, target);
      }
    }
  }
}
