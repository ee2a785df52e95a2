// What Q4_0 and Q5_0 share: value = scale * (code - bound), codes from 0 to 2 * bound - 1.
#ifndef QUERN_SYMMETRIC_BLOCKS_H
#define QUERN_SYMMETRIC_BLOCKS_H

#include "search/symmetric.h"
#include "weighted-blocks.h"

typedef void symmetric_store(uint8_t *block, uint16_t scale, const vi *codes);

// The extreme gets code 0, so that its sign decides that of the scale; the others are rounded to nearest, ties upwards.
INLINE void quantize_symmetric_plain(const float *source, uint8_t *target, int64_t blocks, float bound, int block_size,
                                     symmetric_store *store) {
  const vf top = vsplat(2 * bound - 0.5f);
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    vf scale = block_extremes(source + first * BLOCK, count) / -bound;
    vf inverse = inverse_or_zero(scale);
    // Every code is 0 where the inverse of a scale other than 0 overflows.
    vm overflow = veq(inverse, vsplat(0)) & vmask_not(veq(scale, vsplat(0)));
    vf bias = vselect(overflow, vsplat(0), vsplat(bound + 0.5f));
    vi half = vf32_to_f16(scale);
    for (int lane = 0; lane < count; lane++) {
      const float *block = source + (first + lane) * BLOCK;
      vf factor = vsplat(inverse[lane]), offset = vsplat(bias[lane]);
      vi codes[2 * HALF_VECTORS];
      for (int i = 0; i < 2 * HALF_VECTORS; i++) {
        codes[i] = vtruncate(vmin(vload(block + i * VEC_LANES) * factor + offset, top));
      }
      store(target + (first + lane) * block_size, (uint16_t)half[lane], codes);
    }
  }
}

INLINE void quantize_symmetric_group(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target, float bound,
                                     int block_size, symmetric_store *store) {
  symmetric_fit fit;
  symmetric_search_32(bound, x, weights, &fit);
  EACH_STREAM {
    vi half = vf32_to_f16(fit.scale[s]);
    for (int lane = 0; lane < VEC_LANES && s * VEC_LANES + lane < count; lane++) {
      int index = s * VEC_LANES + lane;
      // ggml stores code 0 for blocks of zeros, not the code of the value 0.
      float factor = fit.code_scale[s][lane], offset = factor == 0 ? 0 : bound;
      vi codes[2 * HALF_VECTORS];
      for (int i = 0; i < 2 * HALF_VECTORS; i++) {
        vf rounded = vround(vload(blocks + index * BLOCK + i * VEC_LANES) * factor);
        codes[i] = vinteger(vclamp(rounded, -bound, bound - 1) + offset);
      }
      store(target + index * block_size, (uint16_t)half[lane], codes);
    }
  }
}

#endif
