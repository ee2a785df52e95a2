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

// Tries that run side by side: they do not depend on each other.
enum { SYMMETRIC_TRIES = 3 };

// The best try so far.
typedef struct {
  vf scale, code_scale;
  vf gain; // of all codes, by which tries are compared: scale * code_x
} symmetric_best;

// Tries the scales that make the extreme bound + tenths / 10 codes, for some tenths; the first of all is taken unconditionally.
INLINE void symmetric_try(bool first, code_rounding rounding, int count, float bound, const int *tenths, vf extreme, const vf *x,
                          const vf *weights, const vf *weighted_x, symmetric_best *best) {
  const int tries = first ? 1 : SYMMETRIC_TRIES;
  const vf zero = {0}, lowest_code = vsplat(-bound), highest_code = vsplat(bound - 1);
  vf code_scale[SYMMETRIC_TRIES], code_x[SYMMETRIC_TRIES] = {0}, code_squared[SYMMETRIC_TRIES] = {0};
  for (int t = 0; t < tries; t++) code_scale[t] = -(bound + 0.1f * (float)tenths[t]) / extreme;
  ROLLED
  for (int i = 0; i < count; i++) {
    for (int t = 0; t < tries; t++) {
      vf code = vcode(rounding, code_scale[t] * x[i], lowest_code, highest_code);
      code_x[t] += weighted_x[i] * code;
      code_squared[t] += weights[i] * code * code;
    }
  }
  for (int t = 0; t < tries; t++) {
    vf scale = code_x[t] / code_squared[t];
    if (first) {
      best->scale = vselect(veq(code_squared[t], zero), zero, scale);
      best->code_scale = code_scale[t];
      best->gain = best->scale * code_x[t];
    } else {
      vm better = vgt(code_squared[t], zero) & vgt(code_x[t] * code_x[t], best->gain * code_squared[t]);
      best->scale = vselect(better, scale, best->scale);
      best->code_scale = vselect(better, code_scale[t], best->code_scale);
      best->gain = vselect(better, scale * code_x[t], best->gain);
    }
  }
}

// count and finite are constants where this is inlined. finite: x holds neither infinities nor NaN. Then the extreme and all that
// has its sign become codes from -(bound + tenths / 10) to 0, and the others at most as large.
INLINE void symmetric_search(int count, bool finite, float bound, const vf *x, const vf *weights, symmetric_fit *fit) {
  static const int plain[] = {0}, small[] = {-9, -8, -7}, medium[] = {-6, -5, -4, -3, -2, -1, 1, 2, 3};
  static const int large[] = {4, 5, 6, 7, 8, 9};
  const code_rounding keep = finite ? KEEP : WRAP_AND_CUT, cut_above = finite ? CUT_ABOVE : WRAP_AND_CUT;
  const code_rounding cut = finite ? CUT : WRAP_AND_CUT;
  vf extreme[STREAMS];
  vm zeros[STREAMS];
  symmetric_extreme(count, x, extreme, zeros);
  EACH_STREAM {
    const vf *value = x + s * count, *weight = weights + s * count;
    vf weighted_x[LONGEST_BLOCK];
    symmetric_best best;
    for (int i = 0; i < count; i++) weighted_x[i] = weight[i] * value[i];
    symmetric_try(true, cut_above, count, bound, plain, extreme[s], value, weight, weighted_x, &best);
    symmetric_try(false, keep, count, bound, small, extreme[s], value, weight, weighted_x, &best);
    for (int i = 0; i < 9; i += SYMMETRIC_TRIES) {
      symmetric_try(false, cut_above, count, bound, medium + i, extreme[s], value, weight, weighted_x, &best);
    }
    for (int i = 0; i < 6; i += SYMMETRIC_TRIES) {
      symmetric_try(false, cut, count, bound, large + i, extreme[s], value, weight, weighted_x, &best);
    }
    fit->scale[s] = vselect(zeros[s], vsplat(0), best.scale);
    fit->code_scale[s] = vselect(zeros[s], vsplat(0), best.code_scale);
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
