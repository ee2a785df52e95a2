// E2M1 with a scale, as MXFP4 and NVFP4 store it: one sign bit, two of exponent, one of mantissa (OCP Microscaling Formats 1.0).
// ggml counts in halves of their unit, so that all values are integers, and its scales are half of those of the formats.
#ifndef QUERN_FP4_H
#define QUERN_FP4_H

#include "blocks.h"
#include "lookup.h"

// As many as a vtable takes.
static const int8_t FP4_VALUES[32] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// What is nearest to |x| / scale goes by thresholds, unless differences are rounded, or infinite: then ggml's choice depends on the
// errors as they come out.
INLINE bool fp4_has_thresholds(float largest, float scale) {
  return largest <= 16 * scale && 12 * scale < __builtin_inff();
}

// Codes of values up to 16 * scale: best_index_mxfp4 of ggml-quants.c (llama.cpp v0.5.0). A value in the middle between two gets
// the smaller one, and what is nearest to 0 gets code 0 whatever its sign.
INLINE void fp4_nearest(const float *source, int vectors, float scale, vi *codes) {
  for (int i = 0; i < vectors; i++) {
    vf x = vload(source + i * VEC_LANES), magnitude = vabs(x);
    vm some = vgt(magnitude, vsplat(0.5f * scale));
    vi code = vcount((vi){0}, some);
#pragma GCC unroll 8
    for (int k = 1; k < 7; k++) {
      code = vcount(code, vgt(magnitude, vsplat((float)(FP4_VALUES[k] + FP4_VALUES[k + 1]) * 0.5f * scale)));
    }
    codes[i] = code | vselect_int(some, ((vi)x >> 28) & 8, (vi){0});
  }
}

// The same for any values and scales, by the errors.
static void fp4_nearest_by_error(const float *source, int vectors, float scale, vi *codes) {
  for (int i = 0; i < vectors; i++) {
    vf x = vload(source + i * VEC_LANES), least = vabs(x);
    vi code = {0};
    for (int k = 1; k < 16; k++) {
      vf error = vabs((float)FP4_VALUES[k] * scale - x);
      vm better = vlt(error, least);
      code = vselect_int(better, vsplat_int(k), code);
      least = vselect(better, error, least);
    }
    codes[i] = code;
  }
}

INLINE void fp4_codes(const float *source, int vectors, float largest, float scale, vi *codes) {
  if (fp4_has_thresholds(largest, scale))
    fp4_nearest(source, vectors, scale, codes);
  else
    fp4_nearest_by_error(source, vectors, scale, codes);
}

#endif
