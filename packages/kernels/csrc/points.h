// Reading points of codebooks: groups of eight levels, each of which stands for a value, and a sign for every weight.
#ifndef QUERN_POINTS_H
#define QUERN_POINTS_H

#include "vec.h"

// What the levels stand for, times a scale.
typedef struct {
#if VEC_LANES >= 8
  vf values;
#else
  float values[8];
#endif
} point_values;

// values: of 8 levels, or of 4 and these again; then the same once more. So bits above a level do no harm.
INLINE point_values scale_point_values(const float *values, float scale) {
#if VEC_LANES >= 8
  return (point_values){scale * vload(values)};
#else
  point_values scaled;
  for (int i = 0; i < 8; i += VEC_LANES) vstore(scaled.values + i, scale * vload(values + i));
  return scaled;
#endif
}

// Sixteen weights: two groups of eight levels of `bits` bits, a constant, the first in the lowest bits; a set bit of signs for
// each weight below 0.
INLINE void read_points(uint32_t first, uint32_t second, int bits, uint32_t signs, const point_values *values, float *target) {
  for (int i = 0; i < 16; i += VEC_LANES) {
#if VEC_LANES == 16
    vi both = vselect_int(vmask_of(0xff00), vsplat_int((int32_t)second), vsplat_int((int32_t)first));
    vf magnitudes = vpermute(values->values, both >> (vsequence(0) % 8 * bits));
#elif VEC_LANES == 8
    vf magnitudes = vpermute(values->values, vsplat_int((int32_t)(i == 0 ? first : second)) >> (vsequence(0) * bits));
#else
    uint32_t levels = (i < 8 ? first : second) >> i % 8 * bits;
    vf magnitudes;
    for (int lane = 0; lane < VEC_LANES; lane++) magnitudes[lane] = values->values[levels >> lane * bits & 7];
#endif
    vstore(target + i, vflip(vmask_of(signs >> i), magnitudes, vsplat_int(INT32_MIN)));
  }
}

#endif
