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

// An element of LANE_BLOCKS blocks: all that a pass over the elements needs lies side by side.
typedef struct {
  vf x[STREAMS], weight[STREAMS], code[STREAMS];
} affine_element;

typedef struct {
  vf code[STREAMS], code_squared[STREAMS], code_x[STREAMS];
} affine_sums;

// What the search of LANE_BLOCKS blocks goes by.
typedef struct {
  vf lowest[STREAMS], highest[STREAMS], weighted_x[STREAMS];
  vm constant[STREAMS];
  // Of the best attempt so far.
  affine_fit fit;
  vf error[STREAMS], min[STREAMS];
  // Of the present attempt: how it rounds, and what it leads to.
  code_rounding rounding;
  vf code_scale[STREAMS], scale[STREAMS], new_min[STREAMS];
  vm solved[STREAMS];
} affine_state;

INLINE void affine_begin(int count, const affine_element *elements, affine_state *state) {
  EACH_STREAM {
    vf lowest = elements[0].x[s], highest = lowest, weight_sum = elements[0].weight[s], weighted_x = weight_sum * lowest;
    for (int i = 1; i < count; i++) {
      vf value = elements[i].x[s], weight = elements[i].weight[s];
      lowest = vmin(value, lowest);
      highest = vmax(value, highest);
      weight_sum += weight;
      weighted_x += weight * value;
    }
    state->fit.weight_sum[s] = weight_sum;
    state->weighted_x[s] = weighted_x;
    state->lowest[s] = lowest;
    state->min[s] = vmin(vsplat(0), lowest);
    state->constant[s] = veq(highest, state->min[s]);
    // With any range all codes of a constant block are 0, which no attempt improves on; its scale is dropped at the end.
    state->highest[s] = vselect(state->constant[s], vsplat(1), highest);
  }
}

// The next attempt makes the range `width` codes wide. Scaling is monotone, so that all values end up between what the lowest and
// the highest one become; rising or falling, since a minimum above them all makes the scale negative. Comparisons fail for NaN,
// which comes of a scale of 0 and an overflowing distance.
INLINE void affine_prepare(float max_code, float width, affine_state *state) {
  vm not_low = vmask_all(), not_high = vmask_all(), in_range = vmask_all();
  EACH_STREAM {
    vf code_scale = width / (state->highest[s] - state->min[s]);
    vf one = code_scale * (state->lowest[s] - state->min[s]), other = code_scale * (state->highest[s] - state->min[s]);
    not_low &= vgt(vmin(one, other), vsplat(-0.5f));
    not_high &= vlt(vmax(one, other), vsplat(max_code + 0.5f));
    in_range &= vlt(vabs(one), vsplat(ROUND_LIMIT)) & vlt(vabs(other), vsplat(ROUND_LIMIT));
    state->code_scale[s] = code_scale;
  }
  state->rounding = !vall(in_range) ? WRAP_AND_CUT : !vall(not_low) ? CUT : !vall(not_high) ? CUT_ABOVE : KEEP;
}

// Codes of all blocks and their weighted sums.
INLINE void affine_round(code_rounding rounding, int count, float max_code, const affine_state *state, affine_element *elements,
                         affine_sums *sums) {
  const vf lowest_code = {0}, highest_code = vsplat(max_code);
  vf code_scale[STREAMS], min[STREAMS];
  affine_sums total = {0};
  EACH_STREAM {
    code_scale[s] = state->code_scale[s];
    min[s] = state->min[s];
  }
  ROLLED
  for (affine_element *element = elements; element < elements + count; element++) EACH_STREAM {
    vf value = element->x[s];
    vf code = vcode(rounding, code_scale[s] * (value - min[s]), lowest_code, highest_code);
    vf weighted = element->weight[s] * code;
    element->code[s] = code;
    total.code[s] += weighted;
    total.code_squared[s] += weighted * code;
    total.code_x[s] += weighted * value;
  }
  *sums = total;
}

NOINLINE void affine_round_any(int count, float max_code, const affine_state *state, affine_element *elements, affine_sums *sums) {
  affine_round(WRAP_AND_CUT, count, max_code, state, elements, sums);
}

// Least squares for given codes. Lanes without a solution are not in the masks.
INLINE void affine_solve(const affine_sums *sums, affine_state *state) {
  const vf zero = {0};
  vm positive[STREAMS], any = vmask_not(vmask_all());
  EACH_STREAM {
    vf code = sums->code[s], code_squared = sums->code_squared[s], code_x = sums->code_x[s];
    vf weight_sum = state->fit.weight_sum[s], weighted_x = state->weighted_x[s];
    vf determinant = weight_sum * code_squared - code * code;
    state->solved[s] = vgt(determinant, zero);
    state->scale[s] = (weight_sum * code_x - weighted_x * code) / determinant;
    state->new_min[s] = (code_squared * weighted_x - code * code_x) / determinant;
    positive[s] = vgt(state->new_min[s], zero);
    any |= positive[s];
  }
  // A minimum above 0 becomes 0, and the best scale with it.
  if (!vany(any)) return;
  EACH_STREAM {
    state->new_min[s] = vselect(positive[s], zero, state->new_min[s]);
    state->scale[s] = vselect(positive[s], sums->code_x[s] / sums->code_squared[s], state->scale[s]);
  }
}

// The first half of an attempt: codes, and the scale and the minimum that are best for them. The first attempt keeps the minimum,
// and the scale that it rounds with.
INLINE void affine_try(bool first, int count, float max_code, affine_element *elements, affine_state *state) {
  affine_sums sums;
  if (state->rounding == KEEP)
    affine_round(KEEP, count, max_code, state, elements, &sums);
  else if (state->rounding == CUT_ABOVE)
    affine_round(CUT_ABOVE, count, max_code, state, elements, &sums);
  else if (state->rounding == CUT)
    affine_round(CUT, count, max_code, state, elements, &sums);
  else
    affine_round_any(count, max_code, state, elements, &sums);
  if (!first) {
    affine_solve(&sums, state);
    return;
  }
  EACH_STREAM {
    state->scale[s] = 1.0f / state->code_scale[s];
    state->new_min[s] = state->min[s];
  }
}

// The second half: the error, and what it decides. The first attempt is taken unconditionally.
INLINE void affine_judge(bool first, int count, bool absolute, const affine_element *elements, affine_state *state) {
  vf scale[STREAMS], min[STREAMS], error[STREAMS] = {0};
  EACH_STREAM {
    scale[s] = state->scale[s];
    min[s] = state->new_min[s];
  }
  ROLLED
  for (const affine_element *element = elements; element < elements + count; element++) EACH_STREAM {
    vf difference = scale[s] * element->code[s] + min[s] - element->x[s];
    error[s] += element->weight[s] * (absolute ? vabs(difference) : difference * difference);
  }
  affine_fit *fit = &state->fit;
  EACH_STREAM {
    vm better = first ? vmask_all() : state->solved[s] & vlt(error[s], state->error[s]);
    state->error[s] = vselect(better, error[s], state->error[s]);
    fit->code_scale[s] = vselect(better, state->code_scale[s], fit->code_scale[s]);
    fit->code_min[s] = vselect(better, state->min[s], fit->code_min[s]);
    fit->scale[s] = vselect(better, scale[s], fit->scale[s]);
    state->min[s] = vselect(better, min[s], state->min[s]);
  }
}

INLINE float affine_width(const affine_grid *grid, int attempt) {
  return grid->first_offset + grid->step * (float)attempt + grid->max_code;
}

// Two times LANE_BLOCKS blocks take turns: where the end of one's pass waits for few results, a pass of the other runs.
enum { AFFINE_TURNS = 2, AFFINE_BLOCKS = AFFINE_TURNS * LANE_BLOCKS };

// Constants where this is inlined: count; absolute, whether the error is a sum of absolute instead of squared differences.
// elements: AFFINE_TURNS x count.
INLINE void affine_search(int count, bool absolute, const affine_grid *grid, affine_element *elements, affine_fit *fits) {
  const float max_code = grid->max_code;
  affine_state states[AFFINE_TURNS];
  affine_element *mine = elements, *others = elements + count;
  affine_state *my = &states[0], *their = &states[1];
  for (int turn = 0; turn < AFFINE_TURNS; turn++) {
    affine_begin(count, elements + turn * count, &states[turn]);
    affine_prepare(max_code, max_code, &states[turn]);
    affine_try(true, count, max_code, elements + turn * count, &states[turn]);
    affine_judge(true, count, absolute, elements + turn * count, &states[turn]);
    affine_prepare(max_code, affine_width(grid, 0), &states[turn]);
  }
  affine_try(false, count, max_code, others, their);
  for (int attempt = 0; attempt <= grid->attempts; attempt++) {
    float next_width = affine_width(grid, attempt + 1);
    affine_try(false, count, max_code, mine, my);
    affine_judge(false, count, absolute, others, their);
    affine_prepare(max_code, next_width, their);
    affine_judge(false, count, absolute, mine, my);
    affine_prepare(max_code, next_width, my);
    if (attempt < grid->attempts) affine_try(false, count, max_code, others, their);
  }
  for (int turn = 0; turn < AFFINE_TURNS; turn++) {
    const affine_state *state = &states[turn];
    fits[turn] = state->fit;
    EACH_STREAM {
      fits[turn].scale[s] = vselect(state->constant[s], vsplat(0), state->fit.scale[s]);
      fits[turn].minimum[s] = -state->min[s];
    }
  }
}

NOINLINE void affine_search_32(const affine_grid *grid, affine_element *elements, affine_fit *fits) {
  affine_search(32, false, grid, elements, fits);
}
NOINLINE void affine_search_16(const affine_grid *grid, affine_element *elements, affine_fit *fits) {
  affine_search(16, false, grid, elements, fits);
}
NOINLINE void affine_search_16_absolute(const affine_grid *grid, affine_element *elements, affine_fit *fits) {
  affine_search(16, true, grid, elements, fits);
}

#endif
