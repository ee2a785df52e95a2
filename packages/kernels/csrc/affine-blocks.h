// What Q4_1 and Q5_1 share: value = scale * code + minimum, codes from 0 to top.
#ifndef QUERN_AFFINE_BLOCKS_H
#define QUERN_AFFINE_BLOCKS_H

#include "search/affine.h"
#include "weighted-blocks.h"

typedef void affine_store(uint8_t *block, uint16_t scale, uint16_t minimum, const vi *codes);

// The sign of a minimum that is 0: that of the first zero, as ggml's loop leaves it.
INLINE vf first_zero_minimum(vf smallest, const float *blocks, int count) {
  uint32_t zeros = vmask_bits(veq(smallest, vsplat(0)));
  for (int lane = 0; zeros != 0 && lane < count; lane++) {
    if (!(zeros >> lane & 1)) continue;
    const float *element = blocks + lane * BLOCK;
    while (*element != 0) element++;
    smallest[lane] = *element;
  }
  return smallest;
}

INLINE void quantize_affine_plain(const float *source, uint8_t *target, int64_t blocks, float top, int block_size,
                                  affine_store *store) {
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    vf largest, smallest;
    block_ranges(source + first * BLOCK, count, &largest, &smallest);
    smallest = first_zero_minimum(smallest, source + first * BLOCK, count);
    // Adding +0 makes the range of zeros of both signs +0.
    vf scale = (largest - smallest + 0.0f) / top;
    vf inverse = inverse_or_zero(scale);
    // Every code is 0 where the range overflows, and x - smallest must not.
    vf origin = vselect(vlt(scale, vsplat(__builtin_inff())), smallest, vsplat(0));
    vi scale_half = vf32_to_f16(scale), minimum_half = vf32_to_f16(smallest);
    for (int lane = 0; lane < count; lane++) {
      const float *block = source + (first + lane) * BLOCK;
      vf factor = vsplat(inverse[lane]), base = vsplat(origin[lane]);
      vi codes[2 * HALF_VECTORS];
      // The inverse is finite for scales that have lost no more than the last of 24 bits, so that no code is above the top.
      for (int i = 0; i < 2 * HALF_VECTORS; i++) codes[i] = vtruncate((vload(block + i * VEC_LANES) - base) * factor + 0.5f);
      store(target + (first + lane) * block_size, (uint16_t)scale_half[lane], (uint16_t)minimum_half[lane], codes);
    }
  }
}

// Of AFFINE_BLOCKS blocks.
INLINE void quantize_affine_group(const vf *x, const vf *weights, const float *blocks, int count, uint8_t *target,
                                  const affine_grid *grid, int block_size, affine_store *store) {
  affine_element elements[AFFINE_TURNS * BLOCK];
  affine_fit fits[AFFINE_TURNS];
  for (int i = 0; i < AFFINE_TURNS * BLOCK; i++) EACH_STREAM {
    int vector = i / BLOCK * STREAMS + s;
    elements[i].x[s] = x[vector * BLOCK + i % BLOCK];
    elements[i].weight[s] = weights[vector * BLOCK + i % BLOCK];
  }
  affine_search_32(grid, elements, fits);
  for (int turn = 0; turn < AFFINE_TURNS; turn++) EACH_STREAM {
    const affine_fit *fit = &fits[turn];
    vi scale_half = vf32_to_f16(fit->scale[s]), minimum_half = vf32_to_f16(-fit->minimum[s]);
    int first = turn * LANE_BLOCKS + s * VEC_LANES;
    for (int lane = 0; lane < VEC_LANES && first + lane < count; lane++) {
      int index = first + lane;
      vf factor = vsplat(fit->code_scale[s][lane]), base = vsplat(fit->code_min[s][lane]);
      vi codes[2 * HALF_VECTORS];
      for (int i = 0; i < 2 * HALF_VECTORS; i++) {
        vf scaled = factor * (vload(blocks + index * BLOCK + i * VEC_LANES) - base);
        codes[i] = vinteger(vclamp(vnearest(scaled), 0, grid->max_code));
      }
      store(target + index * block_size, (uint16_t)scale_half[lane], (uint16_t)minimum_half[lane], codes);
    }
  }
}

#endif
