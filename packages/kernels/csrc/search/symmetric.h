// The search for a scale of either sign, value = scale * code with codes from -bound to bound - 1: make_qx_quants of
// ggml-quants.c (llama.cpp v0.5.0) with given weights.
#ifndef QUERN_SEARCH_SYMMETRIC_H
#define QUERN_SEARCH_SYMMETRIC_H

#include "search/lanes.h"

// The codes themselves are those of code = clamp(nearest(code_scale * x)). Blocks of zeros have scale and code_scale 0.
typedef struct {
  vf scale[STREAMS];
  vf code_scale[STREAMS];
} symmetric_fit;

// The element of largest magnitude with its sign, the first of several; the mask has the blocks that count as zeros, for which
// it is 1. One vector of blocks.
INLINE void block_extreme(int count, const vf *x, vf *extreme, vm *zeros) {
  vf magnitude = {0}, value = {0};
  for (int i = 0; i < count; i++) {
    vf candidate = vabs(x[i]);
    vm larger = vgt(candidate, magnitude);
    magnitude = vselect(larger, candidate, magnitude);
    value = vselect(larger, x[i], value);
  }
  *zeros = vlt(magnitude, vsplat(GROUP_MAX_EPS));
  *extreme = vselect(*zeros, vsplat(1), value);
}

INLINE void symmetric_extreme(int count, const vf *x, vf *extreme, vm *zeros) {
  EACH_STREAM block_extreme(count, x + s * count, &extreme[s], &zeros[s]);
}

// count and finite are constants where this is inlined. finite: x holds neither infinities nor NaN, so that
// |code_scale * x| never exceeds bound + 1.
INLINE void symmetric_search(int count, bool finite, float bound, const vf *x, const vf *weights, symmetric_fit *fit) {
  vf extreme[STREAMS], weighted_x[STREAMS * LONGEST_BLOCK], best[STREAMS] = {0};
  vm zeros[STREAMS];
  symmetric_fit result = {0};
  const vf zero = {0};
  symmetric_extreme(count, x, extreme, zeros);
  for (int i = 0; i < STREAMS * count; i++) weighted_x[i] = weights[i] * x[i];

  // The plain scale first, then 18 around it, in tenths of a code.
  for (int attempt = 0; attempt <= 18; attempt++) {
    int tenths = attempt == 0 ? 0 : attempt <= 9 ? attempt - 10 : attempt - 9;
    float width = -(bound + 0.1f * (float)tenths);
    vf code_scale[STREAMS], code_x[STREAMS] = {0}, code_squared[STREAMS] = {0};
    EACH_STREAM code_scale[s] = width / extreme[s];
    for (int i = 0; i < count; i++) EACH_STREAM {
      vf scaled = code_scale[s] * x[s * count + i];
      vf code = finite ? vnearest_clamped(scaled, -bound, bound - 1) : vclamp(vnearest(scaled), -bound, bound - 1);
      code_x[s] += weighted_x[s * count + i] * code;
      code_squared[s] += weights[s * count + i] * code * code;
    }
    EACH_STREAM {
      vf scale = code_x[s] / code_squared[s];
      if (attempt == 0) {
        result.scale[s] = vselect(veq(code_squared[s], zero), zero, scale);
        result.code_scale[s] = code_scale[s];
        best[s] = result.scale[s] * code_x[s];
      } else {
        vm better = vgt(code_squared[s], zero) & vgt(code_x[s] * code_x[s], best[s] * code_squared[s]);
        result.scale[s] = vselect(better, scale, result.scale[s]);
        result.code_scale[s] = vselect(better, code_scale[s], result.code_scale[s]);
        best[s] = vselect(better, scale * code_x[s], best[s]);
      }
    }
  }
  EACH_STREAM {
    fit->scale[s] = vselect(zeros[s], zero, result.scale[s]);
    fit->code_scale[s] = vselect(zeros[s], zero, result.code_scale[s]);
  }
}

NOINLINE void symmetric_search_32(float bound, const vf *x, const vf *weights, symmetric_fit *fit) {
  symmetric_search(32, true, bound, x, weights, fit);
}
NOINLINE void symmetric_search_16(float bound, const vf *x, const vf *weights, symmetric_fit *fit) {
  symmetric_search(16, true, bound, x, weights, fit);
}
NOINLINE void symmetric_search_16_any(float bound, const vf *x, const vf *weights, symmetric_fit *fit) {
  symmetric_search(16, false, bound, x, weights, fit);
}

#endif
