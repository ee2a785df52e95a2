// What Q4_K and Q5_K share: 8 sub-blocks of 32 with 6-bit scales and minimums. A block starts with F16 d and dmin and the 12
// bytes of packed-scales.h.
#ifndef QUERN_AFFINE_K32_H
#define QUERN_AFFINE_K32_H

#include "affine-k.h"
#include "packed-scales.h"

enum { K32_HEADER = 4 + PACKED_SCALES };

typedef struct {
  affine_grid plain, weighted; // without and with importance
  int highest_weighted;        // above which weighted scale codes are cut, which only wrapping around makes
} k32_search;

// Search weights without importance: |x| + root mean square of the sub-block.
NOINLINE void k32_weigh(affine_element *elements) {
  EACH_STREAM {
    vf squares = {0};
    for (int i = 0; i < 32; i++) squares += elements[i].x[s] * elements[i].x[s];
    vf rms = vsqrt(squares / 32.0f);
    for (int i = 0; i < 32; i++) elements[i].weight[s] = rms + vabs(elements[i].x[s]);
  }
}

NOINLINE void k32_fit_batch(const super_block_batch *batch, const k32_search *search, const float *importance,
                            affine_fits *fits, affine_codes *codes) {
  if (importance) {
    float weights[BATCH * SUPER_BLOCK];
    weigh_by_importance(batch, importance, 2, weights);
    affine_fit_batch(batch, 32, affine_search_32, &search->weighted, weights, NULL, fits);
    affine_codes_weighted(batch, 8, 63, search->highest_weighted, fits, codes);
  } else {
    affine_fit_batch(batch, 32, affine_search_32, &search->plain, NULL, k32_weigh, fits);
    affine_codes_evenly(batch, 8, 63, 63, fits, codes);
  }
}

// Writes the header of super-block b of a batch and rounds its weights to one code per byte.
NOINLINE void k32_round(const super_block_batch *batch, int b, uint8_t max_code, const affine_fits *fits,
                        const affine_codes *codes, uint8_t *header, uint8_t *rounded) {
  uint16_t d = f32_to_f16(codes->d[b]), dmin = f32_to_f16(codes->dmin[b]);
  uint8_t *packed = header + 4;
  store_u16(header, d);
  store_u16(header + 2, dmin);
  pack_scales(codes->scale + b * 8, codes->min + b * 8, packed);
  for (int j = 0; j < 8; j++) {
    int at = b * 8 + j;
    float scale = f16_to_f32(d) * (float)packed_scale(packed, j), min = f16_to_f32(dmin) * (float)packed_min(packed, j);
    affine_round_block(batch->source + at * 32, 32, max_code, scale, min, fits->code_scale[at], fits->code_min[at],
                       rounded + j * 32);
  }
}

// What a reader makes of the header: scales and minimums of the sub-blocks.
INLINE void k32_read_scales(const uint8_t *header, float *scales, float *mins) {
  float d = f16_to_f32(load_u16(header)), dmin = f16_to_f32(load_u16(header + 2));
  for (int j = 0; j < 8; j++) {
    scales[j] = d * (float)packed_scale(header + 4, j);
    mins[j] = dmin * (float)packed_min(header + 4, j);
  }
}

#endif
