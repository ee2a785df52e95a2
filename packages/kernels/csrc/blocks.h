// What the types of 32-weight blocks share.
#ifndef QUERN_BLOCKS_H
#define QUERN_BLOCKS_H

#include "half.h"
#include "vec.h"

enum { BLOCK = 32 };

INLINE int lanes_of(int64_t blocks) { return blocks < VEC_LANES ? (int)blocks : VEC_LANES; }

// ---- Statistics. A maximum is exact in any order, so that each block can be reduced in its own vector.

// Lane i becomes the largest value of rows[i]; rows is used up. Which zero results from +0 and -0 is not defined.
INLINE vf vlargest_of_rows(vf *rows) {
  for (int half = VEC_LANES / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) rows[i] = vmax(vzip_low(rows[i], rows[i + half]), vzip_high(rows[i], rows[i + half]));
  }
  return rows[0];
}

// One of `count` consecutive blocks for every lane: the last one for those beyond. A loop over all lanes needs no memory for what
// it finds.
INLINE const float *block_of_lane(const float *blocks, int length, int count, int lane) {
  return blocks + (lane < count ? lane : count - 1) * length;
}

// Largest magnitudes of `count` consecutive blocks.
INLINE vf block_magnitudes(const float *blocks, int length, int count) {
  vf magnitudes[VEC_LANES];
#pragma GCC unroll 16
  for (int lane = 0; lane < VEC_LANES; lane++) {
    const float *block = block_of_lane(blocks, length, count, lane);
    vf largest = vabs(vload(block));
    for (int i = VEC_LANES; i < length; i += VEC_LANES) largest = vmax(largest, vabs(vload(block + i)));
    magnitudes[lane] = largest;
  }
  return vlargest_of_rows(magnitudes);
}

// Largest and smallest values of `count` consecutive blocks, whichever zero.
INLINE void block_ranges(const float *blocks, int count, vf *largest, vf *smallest) {
  vf high[VEC_LANES], low[VEC_LANES];
#pragma GCC unroll 16
  for (int lane = 0; lane < VEC_LANES; lane++) {
    const float *block = block_of_lane(blocks, BLOCK, count, lane);
    vf first = vload(block), above = first, below = first;
    for (int i = VEC_LANES; i < BLOCK; i += VEC_LANES) {
      above = vmax(above, vload(block + i));
      below = vmin(below, vload(block + i));
    }
    high[lane] = above;
    low[lane] = -below;
  }
  *largest = vlargest_of_rows(high);
  *smallest = -vlargest_of_rows(low);
}

// The element of largest magnitude of each block, with its sign; +0 for a block of zeros. Of x and -x the first counts.
INLINE vf block_extremes(const float *blocks, int count) {
  vf largest, smallest;
  block_ranges(blocks, count, &largest, &smallest);
  vf magnitude = vmax(largest, -smallest);
  vf extreme = vselect(veq(largest, magnitude), largest, smallest);
  uint32_t ties = vmask_bits(veq(largest, -smallest));
  for (int lane = 0; ties != 0 && lane < count; lane++) {
    if (!(ties >> lane & 1)) continue;
    const float *element = blocks + lane * BLOCK;
    while (*element != largest[lane] && *element != smallest[lane]) element++;
    extreme[lane] = *element;
  }
  return vselect(veq(magnitude, vsplat(0)), vsplat(0), extreme);
}

// 1 / scale, or 0 when that is infinite: when the scale is 0, or so small that ggml multiplies by infinity, and its conversions
// of infinities and NaN to bytes make every code 0.
INLINE vf inverse_or_zero(vf scale) {
  vf inverse = 1.0f / scale;
  return vselect(vlt(vabs(inverse), vsplat(__builtin_inff())), inverse, vsplat(0));
}

// ---- Codes of one block, in vectors along the block: first those of elements 0 ... 15, then 16 ... 31.

enum { HALF_VECTORS = 16 / VEC_LANES };

// Four bits of each code to 16 bytes: element i in the lower half of byte i, element i + 16 in the upper half.
INLINE void store_nibbles(uint8_t *target, const vi *codes) {
  vi bytes[HALF_VECTORS];
  for (int i = 0; i < HALF_VECTORS; i++) bytes[i] = (codes[i] & 15) | (codes[i + HALF_VECTORS] & 15) << 4;
  vstore_uint8(target, bytes);
}

// Bit 4 of each code to 4 bytes.
INLINE void store_fifth_bits(uint8_t *target, const vi *codes) {
  uint32_t bits = 0;
  for (int i = 0; i < 2 * HALF_VECTORS; i++) bits |= vmask_bits(vlt_int(vsplat_int(15), codes[i])) << i * VEC_LANES;
  __builtin_memcpy(target, &bits, 4);
}

#endif
