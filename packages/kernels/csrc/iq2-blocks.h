// What blocks of IQ2_XXS, IQ2_XS and IQ2_S have in common: scales in 4 bits, groups of 8 weights as points and signs.
#ifndef QUERN_IQ2_BLOCKS_H
#define QUERN_IQ2_BLOCKS_H

#include "grids/grid.h"
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

// Eight weights. Levels stand for 8, 25 and 43 (iq2xxs_grid, iq2xs_grid and iq2s_grid of ggml-common.h in llama.cpp v0.5.0).
INLINE void iq2_read_group(uint32_t code, uint32_t signs, float scale, float *target) {
  static const float magnitudes[4] = {8, 25, 43};
  for (int i = 0; i < 8; i++) {
    float value = scale * magnitudes[code >> 2 * i & 3];
    target[i] = signs >> i & 1 ? -value : value;
  }
}

// The eighth sign of seven: an even number of weights is negative.
INLINE uint32_t iq2_even_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

#endif
