// The search for a scale and a minimum, value = scale * code - minimum, that the types with minimums share: make_qkx2_quants and
// make_qkx3_quants of ggml-quants.c (llama.cpp v0.5.0), which differ in parameters only.
//
// Every attempt rounds the block with another inverse scale, then solves the weighted least squares problem for the codes
// found. A better fit also replaces the minimum from which the next attempts start, so attempts cannot be lanes.
#ifndef QUERN_SEARCH_AFFINE_H
#define QUERN_SEARCH_AFFINE_H

#include "search/lanes.h"

typedef struct {
  float max_code;
  float first_offset, step; // the inverse scale of attempt i makes the range (max_code + first_offset + i * step) codes wide
  int attempts;             // the last i
} affine_grid;

// One vector per stream. The codes themselves are those of code = clamp(nearest(code_scale * (x - code_min))).
typedef struct {
  vf scale[STREAMS];
  vf minimum[STREAMS]; // to subtract, >= 0
  vf weight_sum[STREAMS];
  vf code_scale[STREAMS];
  vf code_min[STREAMS];
} affine_fit;

typedef struct {
  vf code[STREAMS], code_squared[STREAMS], code_x[STREAMS];
} affine_sums;

// Codes of all blocks and their weighted sums.
INLINE void affine_round(bool in_range, int count, float max_code, const vf *x, const vf *weights, const vf *code_scale,
                         const vf *code_min, vf *codes, affine_sums *sums) {
  affine_sums total = {0};
  for (int i = 0; i < count; i++) EACH_STREAM {
    vf value = x[s * count + i];
    vf scaled = code_scale[s] * (value - code_min[s]);
    vf code = in_range ? vnearest_clamped(scaled, 0, max_code) : vclamp(vnearest(scaled), 0, max_code);
    vf weighted = weights[s * count + i] * code;
    codes[s * count + i] = code;
    total.code[s] += weighted;
    total.code_squared[s] += weighted * code;
    total.code_x[s] += weighted * value;
  }
  *sums = total;
}

NOINLINE void affine_round_any(int count, float max_code, const vf *x, const vf *weights, const vf *code_scale,
                               const vf *code_min, vf *codes, affine_sums *sums) {
  affine_round(false, count, max_code, x, weights, code_scale, code_min, codes, sums);
}

// Whether all that affine_round will round is small enough for vnearest_clamped: the scale makes the distance of the highest
// value from code_min at most 32.5 codes, so that the range tells about the distance of the lowest. A scale of 0, which comes of
// an overflowing distance, gives zeros and NaN, which both roundings make code 0 of. Other extremes are not finite, and fail.
INLINE bool affine_in_range(const vf *range, const vf *code_scale) {
  const vf limit = vsplat(4e6f);
  vm good = vlt(vabs(code_scale[0] * range[0]), limit);
  for (int s = 1; s < STREAMS; s++) good &= vlt(vabs(code_scale[s] * range[s]), limit);
  return vall(good);
}

// Least squares for given codes. Lanes without a solution are not in the returned masks.
INLINE void affine_solve(const affine_sums *sums, const vf *weight_sum, const vf *weighted_x, vf *scale, vf *min, vm *solved) {
  const vf zero = {0};
  EACH_STREAM {
    vf code = sums->code[s], code_squared = sums->code_squared[s], code_x = sums->code_x[s];
    vf determinant = weight_sum[s] * code_squared - code * code;
    solved[s] = vgt(determinant, zero);
    scale[s] = (weight_sum[s] * code_x - weighted_x[s] * code) / determinant;
    min[s] = (code_squared * weighted_x[s] - code * code_x) / determinant;
  }
  // A minimum above 0 becomes 0, and the best scale with it.
  vm positive[STREAMS], any = vgt(min[0], zero);
  EACH_STREAM {
    positive[s] = vgt(min[s], zero);
    any |= positive[s];
  }
  if (!vany(any)) return;
  EACH_STREAM {
    min[s] = vselect(positive[s], zero, min[s]);
    scale[s] = vselect(positive[s], sums->code_x[s] / sums->code_squared[s], scale[s]);
  }
}

INLINE void affine_error(bool absolute, int count, const vf *x, const vf *weights, const vf *codes, const vf *scale,
                         const vf *min, vf *error) {
  vf total[STREAMS] = {0};
  for (int i = 0; i < count; i++) EACH_STREAM {
    vf difference = scale[s] * codes[s * count + i] + min[s] - x[s * count + i];
    total[s] += weights[s * count + i] * (absolute ? vabs(difference) : difference * difference);
  }
  EACH_STREAM error[s] = total[s];
}

// What the search of STREAMS vectors of blocks goes by.
typedef struct {
  vf highest[STREAMS], range[STREAMS], weighted_x[STREAMS], best_error[STREAMS], min[STREAMS];
  vm constant[STREAMS];
  affine_fit fit;
} affine_state;

INLINE void affine_begin(int count, const vf *x, const vf *weights, affine_state *state) {
  EACH_STREAM {
    const vf *value = x + s * count, *weight = weights + s * count;
    vf lowest = value[0], highest = value[0], weight_sum = weight[0], weighted_x = weight[0] * value[0];
    for (int i = 1; i < count; i++) {
      lowest = vmin(value[i], lowest);
      highest = vmax(value[i], highest);
      weight_sum += weight[i];
      weighted_x += weight[i] * value[i];
    }
    state->fit.weight_sum[s] = weight_sum;
    state->weighted_x[s] = weighted_x;
    state->min[s] = vmin(vsplat(0), lowest);
    state->constant[s] = veq(highest, state->min[s]);
    // With any range all codes of a constant block are 0, which no attempt improves on; its scale is dropped at the end.
    state->highest[s] = vselect(state->constant[s], vsplat(1), highest);
    state->range[s] = state->highest[s] - lowest;
  }
}

// Rounds to codes that make the range `width` wide. The first fit keeps the range as it is, and is taken unconditionally.
INLINE void affine_attempt(bool first, int count, bool absolute, float max_code, float width, const vf *x, const vf *weights,
                           affine_state *state) {
  affine_fit *fit = &state->fit;
  vf codes[STREAMS * LONGEST_BLOCK], code_scale[STREAMS], scale[STREAMS], min[STREAMS], error[STREAMS];
  vm better[STREAMS];
  affine_sums sums;
  EACH_STREAM code_scale[s] = width / (state->highest[s] - state->min[s]);
  if (__builtin_expect(affine_in_range(state->range, code_scale), 1))
    affine_round(true, count, max_code, x, weights, code_scale, state->min, codes, &sums);
  else
    affine_round_any(count, max_code, x, weights, code_scale, state->min, codes, &sums);

  if (first) {
    EACH_STREAM {
      fit->scale[s] = 1.0f / code_scale[s];
      fit->code_scale[s] = code_scale[s];
      fit->code_min[s] = state->min[s];
    }
    affine_error(absolute, count, x, weights, codes, fit->scale, state->min, state->best_error);
    return;
  }
  affine_solve(&sums, fit->weight_sum, state->weighted_x, scale, min, better);
  affine_error(absolute, count, x, weights, codes, scale, min, error);
  EACH_STREAM {
    better[s] &= vlt(error[s], state->best_error[s]);
    state->best_error[s] = vselect(better[s], error[s], state->best_error[s]);
    fit->code_scale[s] = vselect(better[s], code_scale[s], fit->code_scale[s]);
    fit->code_min[s] = vselect(better[s], state->min[s], fit->code_min[s]);
    fit->scale[s] = vselect(better[s], scale[s], fit->scale[s]);
    state->min[s] = vselect(better[s], min[s], state->min[s]);
  }
}

// Constants where this is inlined: count; groups, tiles of count x STREAMS vectors that take turns, so that the end of one's
// attempt, where everything waits for few results, overlaps with the next one's; absolute, whether the error is a sum of
// absolute instead of squared differences.
INLINE void affine_search(int count, int groups, bool absolute, const affine_grid *grid, const vf *x, const vf *weights,
                          affine_fit *fits) {
  enum { MOST_GROUPS = 2 };
  affine_state states[MOST_GROUPS];
  const int tile = STREAMS * count;
  for (int g = 0; g < groups; g++) affine_begin(count, x + g * tile, weights + g * tile, &states[g]);
  for (int attempt = -1; attempt <= grid->attempts; attempt++) {
    float width = attempt < 0 ? grid->max_code : grid->first_offset + grid->step * (float)attempt + grid->max_code;
    for (int g = 0; g < groups; g++) {
      affine_attempt(attempt < 0, count, absolute, grid->max_code, width, x + g * tile, weights + g * tile, &states[g]);
    }
  }
  for (int g = 0; g < groups; g++) {
    affine_state *state = &states[g];
    fits[g] = state->fit;
    EACH_STREAM {
      fits[g].scale[s] = vselect(state->constant[s], vsplat(0), state->fit.scale[s]);
      fits[g].minimum[s] = -state->min[s];
    }
  }
}

// One group of blocks of 32, two groups of blocks of 16.
NOINLINE void affine_search_32(const affine_grid *grid, const vf *x, const vf *weights, affine_fit *fit) {
  affine_search(32, 1, false, grid, x, weights, fit);
}
NOINLINE void affine_search_16(const affine_grid *grid, const vf *x, const vf *weights, affine_fit *fits) {
  affine_search(16, 2, false, grid, x, weights, fits);
}
NOINLINE void affine_search_16_absolute(const affine_grid *grid, const vf *x, const vf *weights, affine_fit *fits) {
  affine_search(16, 2, true, grid, x, weights, fits);
}

#endif
