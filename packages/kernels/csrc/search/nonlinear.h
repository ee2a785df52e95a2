// The search for a scale of either sign, value = scale * IQ4_VALUES[code]: quantize_row_iq4_nl_impl of ggml-quants.c (llama.cpp
// v0.5.0) with given weights.
//
// ggml looks for the nearest of the 16 values for every weight and every scale that it tries. But all scales it tries, except the
// first, lie within a factor of 134/120, and the values so far apart that each weight has only two of them to choose from. These
// are looked up once, with what they add to the sums; for each try there is a comparison left, which selects one of the two.
#ifndef QUERN_SEARCH_NONLINEAR_H
#define QUERN_SEARCH_NONLINEAR_H

#include "iq4-values.h"
#include "search/symmetric.h"

// What each weight of a block of 32 can add to the sums.
typedef struct {
  vf threshold[32];     // scaled weights below it get the lower of two values
  vf upper_x[32];       // weight * value * x of the upper value
  vf upper_squared[32]; // weight * value * value of the upper value
  vi flip_x[32];        // bits in which those of the lower value are different
  vi flip_squared[32];
} nonlinear_choices;

#define NONLINEAR_TRIES 7 // on either side of the plain scale
_Static_assert(NONLINEAR_TRIES - IQ4_LOWEST == 134 && -NONLINEAR_TRIES - IQ4_LOWEST == 120, "iq4_neighbours serves all tries");

// Tries that run side by side, as many as there are registers for their sums.
#define NONLINEAR_GROUP (VEC_LANES == 16 ? 5 : 3)

typedef struct {
  vf x[NONLINEAR_GROUP], squared[NONLINEAR_GROUP]; // sums of weight * value * x and weight * value * value
} nonlinear_sums;

// Sums for code_scale[k] * x of each try of a group.
INLINE void nonlinear_sum(const vf *x, const nonlinear_choices *choices, const vf *code_scale, nonlinear_sums *sums) {
  vf sum_x[NONLINEAR_GROUP] = {0}, sum_squared[NONLINEAR_GROUP] = {0};
  for (int i = 0; i < 32; i++) {
#pragma GCC unroll 8
    for (int k = 0; k < NONLINEAR_GROUP; k++) {
      vm lower = vlt(code_scale[k] * x[i], choices->threshold[i]);
      sum_x[k] += vflip(lower, choices->upper_x[i], choices->flip_x[i]);
      sum_squared[k] += vflip(lower, choices->upper_squared[i], choices->flip_squared[i]);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < NONLINEAR_GROUP; k++) sums->x[k] = sum_x[k], sums->squared[k] = sum_squared[k];
}

// Scales of VEC_LANES blocks of 32 finite values, 0 for blocks of zeros.
NOINLINE vf nonlinear_search_32(const vf *x, const vf *weights) {
  const vf zero = {0}, lowest = vsplat(IQ4_LOWEST);
  nonlinear_choices choices;
  iq4_cells cells = iq4_load_cells();
  vf extreme;
  vm zeros;
  block_extreme(32, x, &extreme, &zeros);

  // The plain scale has the sign that makes the extreme a positive value; those that are tried make it a negative one.
  vf plain = 1.0f / (-extreme / lowest), farthest = (lowest - (float)NONLINEAR_TRIES) / extreme;
  vf plain_x = zero, plain_squared = zero;
  for (int i = 0; i < 32; i++) {
    vf lower, upper, scaled = plain * x[i];
    iq4_neighbours(&cells, scaled, &lower, &upper);
    vf value = vselect(vlt(scaled, IQ4_THRESHOLD(lower, upper)), lower, upper);
    plain_x += weights[i] * value * x[i];
    plain_squared += weights[i] * value * value;

    iq4_neighbours(&cells, farthest * x[i], &lower, &upper);
    choices.threshold[i] = IQ4_THRESHOLD(lower, upper);
    vf weighted_lower = weights[i] * lower, weighted_upper = weights[i] * upper;
    choices.upper_x[i] = weighted_upper * x[i];
    choices.upper_squared[i] = weighted_upper * upper;
    choices.flip_x[i] = (vi)choices.upper_x[i] ^ (vi)(weighted_lower * x[i]);
    choices.flip_squared[i] = (vi)choices.upper_squared[i] ^ (vi)(weighted_lower * lower);
  }
  vf scale = vselect(vgt(plain_squared, zero), plain_x / plain_squared, zero);
  vf best = scale * plain_x;

  for (int first = -NONLINEAR_TRIES; first <= NONLINEAR_TRIES; first += NONLINEAR_GROUP) {
    vf code_scale[NONLINEAR_GROUP];
    nonlinear_sums sums;
    for (int k = 0; k < NONLINEAR_GROUP; k++) code_scale[k] = (lowest + (float)(first + k)) / extreme;
    nonlinear_sum(x, &choices, code_scale, &sums);
    for (int k = 0; k < NONLINEAR_GROUP; k++) {
      vf sum_x = sums.x[k], sum_squared = sums.squared[k];
      vm better = vgt(sum_squared, zero) & vgt(sum_x * sum_x, best * sum_squared);
      vf new_scale = sum_x / sum_squared;
      scale = vselect(better, new_scale, scale);
      best = vselect(better, new_scale * sum_x, best);
    }
  }
  return vselect(zeros, zero, scale);
}

#endif
