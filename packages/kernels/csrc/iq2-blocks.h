// What blocks of IQ2_XXS, IQ2_XS and IQ2_S have in common: scales in 4 bits, groups of 8 weights as points and signs.
#ifndef QUERN_IQ2_BLOCKS_H
#define QUERN_IQ2_BLOCKS_H

#include "grids/grid.h"
#include "points.h"
#include "super-blocks.h"

// ---- Writing

// The codes of the scales of a super-block and its d, before that is rounded to F16; false when all scales are 0. A scale that is
// NaN, since weights overflowed (ggml ends the process there), makes d NaN.
INLINE bool iq2_quantize_scales(const float *scales, int count, uint8_t *codes, float *d) {
  float largest = 0;
  for (int i = 0; i < count; i++) {
    if (!(scales[i] <= largest) && largest == largest) largest = scales[i];
  }
  *d = largest / 31;
  float inverse = 1 / *d;
  for (int i = 0; i < count; i++) {
    int code = nearest_int(0.5f * (inverse * scales[i] - 1));
    codes[i] = (uint8_t)(code < 0 ? 0 : code > 15 ? 15 : code);
  }
  return largest != 0;
}

// ---- Reading

// What levels stand for (iq2xxs_grid, iq2xs_grid and iq2s_grid of ggml-common.h in llama.cpp v0.5.0).
static const float IQ2_VALUES[16] = {8, 25, 43, 0, 8, 25, 43, 0, 8, 25, 43, 0, 8, 25, 43, 0};

// The values with the code of a scale.
INLINE point_values iq2_values(float d, uint32_t code) {
  return scale_point_values(IQ2_VALUES, d * (0.5f + (float)code) * 0.25f);
}

// Sixteen weights.
INLINE void iq2_read_pair(uint16_t first, uint16_t second, uint32_t signs, const point_values *values, float *target) {
  read_points(first, second, 2, signs, values, target);
}

// The eighth sign of seven: an even number of weights is negative.
INLINE uint32_t iq2_even_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

#endif
