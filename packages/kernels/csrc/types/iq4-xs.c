// IQ4_XS: super-blocks of 8 x 32 = F16 d, 2 bytes with the upper two bits of the scales, 4 bytes with the lower four, 8 x 16
// bytes of codes. value = d * (scale - 32) * IQ4_VALUES[code], scales from 0 to 63.

#include "iq4-blocks.h"
#include "kernel.h"
#include "super-blocks.h"

enum { IQ4_XS_SIZE = 2 + 2 + 4 + 128, IQ4_XS_BLOCKS = 8 };

// Of the blocks of a batch in order, padded to whole vectors.
typedef struct {
  float scale[BATCH * IQ4_XS_BLOCKS];   // as found, then as a code from -32 to 31
  float inverse[BATCH * IQ4_XS_BLOCKS]; // of the scale that a reader will see
  float d[BATCH];
} iq4_xs_scales;

static void iq4_xs_search(const super_block_batch *batch, const float *importance, iq4_xs_scales *scales) {
  float sigma2[BATCH * IQ4_XS_BLOCKS];
  if (importance) {
    vf sums = row_squares(batch->source, batch->count, SUPER_BLOCK) * (2.0f / SUPER_BLOCK);
    for (int i = 0; i < BATCH * IQ4_XS_BLOCKS; i++) sigma2[i] = sums[i / IQ4_XS_BLOCKS];
  }
  const float *matrix = batch->source - batch->first * SUPER_BLOCK;
  int64_t first = batch->first * IQ4_XS_BLOCKS, last = first + batch->count * IQ4_XS_BLOCKS - 1;
  for (int i = 0; first + i <= last; i += VEC_LANES) {
    vf scale = iq4_search(matrix, first + i, last, batch->per_row * IQ4_XS_BLOCKS, importance, sigma2 + i);
    vstore(scales->scale + i, scale);
  }
}

// d gives the scale of largest magnitude, the first of several, the code -32.
static void iq4_xs_round_scales(int count, iq4_xs_scales *scales) {
  float inverse_d[BATCH * IQ4_XS_BLOCKS] = {0}, d_of[BATCH * IQ4_XS_BLOCKS] = {0};
  for (int b = 0; b < count; b++) {
    float magnitude = 0, extreme = 0;
    for (int j = 0; j < IQ4_XS_BLOCKS; j++) {
      float scale = scales->scale[b * IQ4_XS_BLOCKS + j], candidate = __builtin_fabsf(scale);
      if (candidate > magnitude) magnitude = candidate, extreme = scale;
    }
    float d = -extreme / 32;
    scales->d[b] = d;
    for (int j = 0; j < IQ4_XS_BLOCKS; j++) {
      d_of[b * IQ4_XS_BLOCKS + j] = d;
      inverse_d[b * IQ4_XS_BLOCKS + j] = d != 0 ? 1 / d : 0;
    }
  }
  for (int i = 0; i < count * IQ4_XS_BLOCKS; i += VEC_LANES) {
    vf code = vclamp(vnearest(vload(inverse_d + i) * vload(scales->scale + i)), -32, 31);
    vstore(scales->scale + i, code);
    vstore(scales->inverse + i, iq4_inverse(vload(d_of + i) * code));
  }
}

static void iq4_xs_store(const float *source, const iq4_xs_scales *scales, int b, uint8_t *block) {
  uint32_t lower = 0, upper = 0;
  for (int j = 0; j < IQ4_XS_BLOCKS; j++) {
    int at = b * IQ4_XS_BLOCKS + j;
    uint32_t code = (uint32_t)(scales->scale[at] + 32);
    lower |= (code & 15) << 4 * j;
    upper |= code >> 4 << 2 * j;
    iq4_store_codes(block + 8 + j * 16, source + at * BLOCK, scales->inverse[at]);
  }
  store_u16(block, f32_to_f16(scales->d[b]));
  store_u16(block + 2, upper);
  store_u16(block + 4, lower);
  store_u16(block + 6, lower >> 16);
}

static void quantize_iq4_xs(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  iq4_xs_scales scales;
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    iq4_xs_search(&batch, importance, &scales);
    iq4_xs_round_scales(batch.count, &scales);
    for (int b = 0; b < batch.count; b++) iq4_xs_store(batch.source, &scales, b, target + (first + b) * IQ4_XS_SIZE);
  }
}

static void dequantize_iq4_xs(const uint8_t *source, float *target, int64_t blocks) {
  vtable values = vtable_of(IQ4_VALUES);
  for (int64_t b = 0; b < blocks; b++, source += IQ4_XS_SIZE, target += SUPER_BLOCK) {
    float d = f16_to_f32(load_u16(source));
    uint32_t upper = load_u16(source + 2);
    for (int j = 0; j < IQ4_XS_BLOCKS; j++) {
      int scale = (source[4 + j / 2] >> j % 2 * 4 & 15) | (int)(upper >> 2 * j & 3) << 4;
      iq4_load_values(&values, source + 8 + j * 16, d * (float)(scale - 32), target + j * BLOCK);
    }
  }
}
