// Q3_K: super-blocks of 16 x 16 = 32 bytes with the upper bit of the codes (upper-bits.h), 64 bytes with the lower two
// (two-bits.h), 12 bytes of 6-bit scales, F16 d. Codes are 0 to 7 for -4 to 3, scales 0 to 63 for -32 to 31.

#include "kernel.h"
#include "search/symmetric-descent.h"
#include "symmetric-k.h"
#include "two-bits.h"
#include "upper-bits.h"

enum { Q3_K_SIZE = 32 + 64 + 12 + 2 };

typedef struct {
  symmetric_fits fits;
  vf descent_codes[BATCH * SUB_BLOCKS / VEC_LANES * 16]; // 16 vectors for each VEC_LANES sub-blocks; unused with importance
  uint8_t scale[BATCH * SUB_BLOCKS];
  float d[BATCH];
} q3_k_codes;

// ---- Without importance

static void q3_k_descend(const super_block_batch *batch, q3_k_codes *codes) {
  vf x[STREAMS * 16], scale[STREAMS];
  int last = batch->count * 16 - 1;
  for (int first = 0; first <= last; first += LANE_BLOCKS) {
    load_lanes(x, 16, batch->source, first, last);
    symmetric_descent_16(4, x, codes->descent_codes + first / VEC_LANES * 16, scale);
    EACH_STREAM vstore(codes->fits.scale + first + s * VEC_LANES, scale[s]);
  }
  for (int b = 0; b < batch->count; b++) {
    const float *scales = codes->fits.scale + b * 16;
    float extreme = extreme_of_16(scales), inverse = -32.0f / extreme;
    codes->d[b] = extreme != 0 ? 1 / inverse : 0;
    for (int j = 0; j < 16; j++) {
      int8_t code = (int8_t)nearest_int(inverse * scales[j]);
      code = code < -32 ? -32 : code > 31 ? 31 : code;
      codes->scale[b * 16 + j] = extreme != 0 ? (uint8_t)(code + 32) : 0;
    }
  }
}

// ---- With importance: the scales of a super-block are searched like the weights of a sub-block.

static void q3_k_search(const super_block_batch *batch, const float *importance, q3_k_codes *codes) {
  float weights[BATCH * SUPER_BLOCK];
  vf scales[STREAMS * 16] = {0}, scale_weights[STREAMS * 16] = {0};
  symmetric_fit fit;
  weigh_by_importance(batch, importance, 2, weights);
  symmetric_fit_batch(batch, 4, weights, &codes->fits);
  values_to_lanes(codes->fits.scale, 16, batch->count, scales);
  values_to_lanes(codes->fits.weight_sum, 16, batch->count, scale_weights);
  symmetric_search_16_any(32, scales, scale_weights, &fit);
  for (int b = 0; b < batch->count; b++) {
    const float *values = codes->fits.scale + b * 16;
    // Infinite scales make a code_scale of 0 too.
    bool zeros = __builtin_fabsf(extreme_of_16(values)) < GROUP_MAX_EPS;
    codes->d[b] = fit.scale[0][b];
    for (int j = 0; j < 16; j++) {
      int code = nearest_int(fit.code_scale[0][b] * values[j]);
      code = code < -32 ? -32 : code > 31 ? 31 : code;
      codes->scale[b * 16 + j] = zeros ? 0 : (uint8_t)(code + 32);
    }
  }
}

// ---- Storing

// Byte i of the first 8 holds the lower four bits of scales i and i + 8, byte i of the last 4 the upper two of scales i, i + 4,
// i + 8 and i + 12.
INLINE void q3_k_pack_scales(const uint8_t *scales, uint8_t *packed) {
  for (int i = 0; i < 8; i++) packed[i] = (uint8_t)((scales[i] & 15) | scales[i + 8] << 4);
  for (int i = 0; i < 4; i++) {
    packed[8 + i] = (uint8_t)(scales[i] >> 4 | scales[i + 4] >> 4 << 2 | scales[i + 8] >> 4 << 4 | scales[i + 12] >> 4 << 6);
  }
}

static void q3_k_store(const super_block_batch *batch, int b, const q3_k_codes *codes, bool descended, uint8_t *block) {
  uint16_t d = f32_to_f16(codes->d[b]);
  uint8_t rounded[SUPER_BLOCK];
  for (int j = 0; j < 16; j++) {
    int at = b * 16 + j;
    float scale = f16_to_f32(d) * (float)(codes->scale[at] - 32);
    if (scale == 0 && descended) {
      const vf *lanes = codes->descent_codes + at / VEC_LANES * 16;
      for (int i = 0; i < 16; i++) rounded[j * 16 + i] = (uint8_t)(lanes[i][at % VEC_LANES] + 4);
    } else {
      symmetric_round_block(batch->source + at * 16, 4, scale, codes->fits.code_scale[at], rounded + j * 16);
    }
  }
  pack_upper_bits(rounded, 2, block);
  pack_two_bits(rounded, block + 32);
  q3_k_pack_scales(codes->scale + b * 16, block + 96);
  store_u16(block + 108, d);
}

static void quantize_q3_k(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  q3_k_codes codes;
  int64_t total = rows * columns / SUPER_BLOCK;
  for (int64_t first = 0; first < total; first += BATCH) {
    super_block_batch batch = next_batch(source, first, total, columns);
    if (importance)
      q3_k_search(&batch, importance, &codes);
    else
      q3_k_descend(&batch, &codes);
    for (int b = 0; b < batch.count; b++) {
      q3_k_store(&batch, b, &codes, importance == NULL, target + (first + b) * Q3_K_SIZE);
    }
  }
}

INLINE int q3_k_scale(const uint8_t *packed, int i) {
  int lower = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
  return (lower | (packed[8 + i % 4] >> i / 4 * 2 & 3) << 4) - 32;
}

static void dequantize_q3_k(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q3_K_SIZE, target += SUPER_BLOCK) {
    float d = f16_to_f32(load_u16(source + 108));
    for (int j = 0; j < 16; j++) {
      float scale = d * (float)q3_k_scale(source + 96, j);
      const uint8_t *lower = two_bits_of(source + 32, j), *upper = source + j % 2 * 16;
      for (int i = 0; i < 16; i += VEC_LANES) {
        vi codes = (vload_u8(lower + i) >> two_bits_shift(j) & 3) | (vload_u8(upper + i) >> j / 2 & 1) << 2;
        vstore(target + j * 16 + i, scale * vfloat(codes - 4));
      }
    }
  }
}
