// IQ1_M: super-blocks of 16 x 16 = 32 bytes with the lower eight bits of codebook indices, 16 bytes with the upper three and a bit
// that shifts down for each of two (bits 3 and 7), 4 x 16 bits: the 3-bit scales of four blocks, lowest first, and four bits of F16
// d, lowest first. value = d * (2 * scale + 1) * (level - 1 + shift).

#include "iq1.h"
#include "kernel.h"

enum { IQ1_M_SIZE = 32 + 16 + 8 };

// ---- Splits. Each half of a block has its own shift, hence sums of its own.

// Level 2 stands for one more than level 1, which stands for one more than level 0: a sum of weight * x * value is that with level
// 2 for all, less two prefix sums. Sums of weight * value^2 have such differences as factors. By half and shift.
typedef struct {
  vf sum_x[2][17], sum_w[2][17];
  vf total_x[2][2], lower_w[2][2][17], upper_w[2][2][17];
} iq1_m_tables;

INLINE void iq1_m_sum(const void *pointer, int first, int second, split_sums *sums) {
  const iq1_m_tables *tables = pointer;
  vf x[2][2], squares[2][2];
  for (int half = 0; half < 2; half++) {
    vf below = tables->sum_x[half][first] + tables->sum_x[half][second];
    for (int shift = 0; shift < 2; shift++) {
      x[half][shift] = tables->total_x[half][shift] - below;
      squares[half][shift] = tables->lower_w[half][shift][first] + tables->upper_w[half][shift][second];
    }
  }
  for (int k = 0; k < 4; k++) {
    sums->x[k] = x[0][k / 2] + x[1][k % 2];
    sums->squares[k] = squares[0][k / 2] + squares[1][k % 2];
  }
}

static void iq1_m_split(const vf *x, const vf *weights, const vi *ranks, ternary_split *split) {
  static const int shift_bits[4] = {0, 2, 1, 3};
  iq1_m_tables tables;
  for (int half = 0; half < 2; half++) {
    vf weighted[16], counted[16]; // zeros for the other half
    for (int i = 0; i < 16; i++) {
      weighted[i] = i / 8 == half ? weights[i] * x[i] : vsplat(0);
      counted[i] = i / 8 == half ? weights[i] : vsplat(0);
    }
    ranked_prefix_sums(weighted, ranks, 16, tables.sum_x[half]);
    ranked_prefix_sums(counted, ranks, 16, tables.sum_w[half]);
    for (int shift = 0; shift < 2; shift++) {
      const float *values = IQ1_VALUES[shift];
      float lower = values[0] * values[0] - values[1] * values[1], upper = values[1] * values[1] - values[2] * values[2];
      tables.total_x[half][shift] = tables.sum_x[half][16] * values[2];
      vf total_w = tables.sum_w[half][16] * values[2] * values[2];
      for (int i = 0; i <= 16; i++) {
        tables.lower_w[half][shift][i] = total_w + tables.sum_w[half][i] * lower;
        tables.upper_w[half][shift][i] = tables.sum_w[half][i] * upper;
      }
    }
  }
  find_ternary_split(16, 4, shift_bits, iq1_m_sum, &tables, tables.sum_w[0][16] + tables.sum_w[1][16], split);
}

// ---- The scale of a super-block, which is fitted to the weights once the scales of its blocks are rounded

// What d = 1 would make of the codes of a super-block.
static void iq1_m_values(const iq1_fits *fits, int b, const uint8_t *scales, float *values) {
  const uint16_t *points = quern_codebooks[GRID_IQ1].points;
  for (int i = 0; i < IQ1_GROUPS; i++) {
    uint16_t code = points[grid_point(fits->entries[b * IQ1_GROUPS + i])];
    uint32_t shift = (uint32_t)fits->shifts[b * 16 + i / 2] >> i % 2 & 1;
    iq1_read_group(code, (float)(2 * scales[i / 2] + 1), shift, values + GROUP * i);
  }
}

// The scale that fits each super-block best, or `otherwise`.
static vf iq1_m_fit_scale(const super_block_batch *batch, const float *weights, const float *values, vf otherwise) {
  vf sum_x = {0}, sum_squares = {0};
  for (int start = 0; start < SUPER_BLOCK; start += 16) {
    const float *x_lanes[VEC_LANES], *w_lanes[VEC_LANES], *value_lanes[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) {
      int at = (lane < batch->count ? lane : batch->count - 1) * SUPER_BLOCK + start;
      x_lanes[lane] = batch->source + at;
      w_lanes[lane] = weights + at;
      value_lanes[lane] = values + at;
    }
    vf x[16], w[16], value[16];
    vload_blocks(x, x_lanes, 16);
    vload_blocks(w, w_lanes, 16);
    vload_blocks(value, value_lanes, 16);
    for (int i = 0; i < 16; i++) {
      vf weighted = w[i] * value[i];
      sum_x += weighted * x[i];
      sum_squares += weighted * value[i];
    }
  }
  return vselect(vgt(sum_squares, vsplat(0)), sum_x / sum_squares, otherwise);
}

// ---- Blocks

static void iq1_m_store(const iq1_fits *fits, int b, const uint8_t *scales, bool shifted, uint32_t d, uint8_t *target) {
  const uint32_t *entries = fits->entries + b * IQ1_GROUPS;
  for (int i = 0; i < 32; i++) target[i] = (uint8_t)grid_point(entries[i]);
  for (int i = 0; i < 16; i++) {
    uint32_t upper = grid_point(entries[2 * i]) >> 8 | grid_point(entries[2 * i + 1]) >> 8 << 4;
    uint32_t shifts = shifted ? (uint32_t)fits->shifts[b * 16 + i] : 0;
    target[32 + i] = (uint8_t)(upper | (shifts & 1) << 3 | shifts >> 1 << 7);
  }
  for (int i = 0; i < 4; i++) {
    uint32_t packed = (d >> 4 * i & 15) << 12;
    for (int j = 0; j < 4; j++) packed |= (uint32_t)scales[4 * i + j] << 3 * j;
    store_u16(target + 48 + 2 * i, packed);
  }
}

static void quantize_iq1_m(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  const quern_grid *grid = quern_grid_for(GRID_IQ1);
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    float weights[BATCH * SUPER_BLOCK], values[BATCH * SUPER_BLOCK];
    iq1_fits fits;
    if (importance) {
      weigh_by_importance(&batch, importance, 2, weights);
    } else {
      for (int i = 0; i < batch.count * SUPER_BLOCK; i++) weights[i] = batch.source[i] * batch.source[i];
    }
    iq1_fit(&batch, weights, grid, 16, 1e-7f, iq1_m_split, &fits);

    uint8_t scales[BATCH][16] = {{0}};
    vf largest = {0};
    for (int b = 0; b < batch.count; b++) {
      largest[b] = iq1_largest_scale(fits.scale + b * 16, 16);
      if (largest[b] > 0) iq1_round_scales(fits.scale + b * 16, 16, largest[b], scales[b]);
      iq1_m_values(&fits, b, scales[b], values + b * SUPER_BLOCK);
    }
    vi d = vf32_to_f16(iq1_m_fit_scale(&batch, weights, values, largest / 15) * 1.1125f);
    vi finite = vselect_int(vgt(largest, vsplat(0)), d, vsplat_int(0));
    d = vselect_int(veq(largest, largest), finite, vsplat_int(F16_EXPONENT));
    for (int b = 0; b < batch.count; b++) {
      iq1_m_store(&fits, b, scales[b], largest[b] > 0, (uint32_t)d[b], target + (first + b) * IQ1_M_SIZE);
    }
  }
}

static uint16_t iq1_m_scale(const uint8_t *block) {
  return (uint16_t)(block[49] >> 4 | (block[51] & 0xf0) | (block[53] & 0xf0) << 4 | (block[55] & 0xf0) << 8);
}

static void dequantize_iq1_m(const uint8_t *source, float *target, int64_t blocks) {
  const uint16_t *points = quern_codebooks[GRID_IQ1].points;
  for (int64_t b = 0; b < blocks; b++, source += IQ1_M_SIZE) {
    float d = f16_to_f32(iq1_m_scale(source));
    for (int i = 0; i < 16; i++) {
      uint32_t upper = source[32 + i];
      float scale = d * (float)(2 * (load_u16(source + 48 + i / 4 * 2) >> i % 4 * 3 & 7) + 1);
      for (int k = 0; k < 2; k++, target += GROUP, upper >>= 4) {
        iq1_read_group(points[source[2 * i + k] | (upper & 7) << 8], scale, upper >> 3 & 1, target);
      }
    }
  }
}
