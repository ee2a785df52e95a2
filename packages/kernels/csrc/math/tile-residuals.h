// tileResiduals: how far weights are from their nearest codes, and where the value of code 0 would rather be (a step of HQQ, Badri and Shaji
// 2023). Of each tile that is asked for: the sum of |w - value|, and that of w - shrunk - (value - value of code 0), where `shrunk` is w - value
// brought nearer to 0 by |w - value|^exponent / beta, at most to 0. Elements are F32, and so are sums of every 16th column; those 16 are
// added in F64.
//
// Numbers: rows, columns, stride, exponent, beta, the largest magnitude that shrinks to 0 for sure, then those of tile_codes. Arrays:
// weights (float), tiles that are asked for (bytes, by tile), errors and centres (double, by tile), scales and shifts (float), table.
#ifndef QUERN_MATH_TILE_RESIDUALS_H
#define QUERN_MATH_TILE_RESIDUALS_H

#include "math/encode-tiles.h"
#include "math/fit-tiles.h"
#include "math/functions.h"

typedef struct {
  float exponent, beta, bound;
} shrinkage;

typedef struct {
  vf errors[ENCODED_VECTORS], centres[ENCODED_VECTORS];
} residual_sums;

INLINE vf shrink(const shrinkage *by, vf magnitude) {
  if (!vany(vgt(magnitude, vsplat(by->bound)))) return (vf){0};
  vf less = magnitude - vpower(magnitude, by->exponent) / by->beta;
  return vselect(vgt(magnitude, vsplat(by->bound)), vmax(less, (vf){0}), (vf){0});
}

// The first `count` of 16 elements.
INLINE void add_residuals(int rule, const tile_codes *codes, tile_lanes tile, const shrinkage *by, const float *weights, int64_t count,
                          residual_sums *sums) {
  vf code0 = decode_lanes(rule, codes, (vi){0}, tile);
  for (int i = 0; i < ENCODED_VECTORS; i++) {
    vf weight = vload(weights + i * VEC_LANES), value = encode_lanes(rule, codes, weight, tile).value, difference = weight - value;
    vf magnitude = vabs(difference);
    vf kept = (vf)((vi)shrink(by, magnitude) | ((vi)difference & (int32_t)0x80000000));
    vf centre = (weight - kept) - (value - code0);
    if (count < ENCODED) {
      vm counts = vlt_int(vsequence(i * VEC_LANES), vsplat_int((int32_t)count));
      magnitude = vselect(counts, magnitude, (vf){0});
      centre = vselect(counts, centre, (vf){0});
    }
    sums->errors[i] += magnitude;
    sums->centres[i] += centre;
  }
}

INLINE double total_of(const vf *sums) {
  double total = 0;
  for (int i = 0; i < ENCODED_VECTORS; i++) {
    for (int lane = 0; lane < VEC_LANES; lane++) total += (double)sums[i][lane];
  }
  return total;
}

INLINE void tile_residuals(int rule, const quern_call *call) {
  const double *n = call->numbers;
  const shrinkage by = {(float)n[3], (float)n[4], (float)n[5]};
  tile_codes codes = tile_codes_of(n + 6, call->arrays[4], call->arrays[5], call->arrays[6]);
  weight_tiles all = {(int64_t)n[0], (int64_t)n[1], (int64_t)n[2], codes.tile_rows, codes.tile_columns, call->arrays[0], NULL};
  const uint8_t *asked = call->arrays[1];
  double *errors = call->arrays[2], *centres = call->arrays[3];
  int64_t number = 0;
  for (int64_t row = 0; row < all.rows; row += all.tile_rows) {
    for (int64_t column = 0; column < all.columns; column += all.tile_columns, number++) {
      if (!asked[number]) continue;
      weight_tile tile = tile_at(&all, row, column);
      tile_lanes lanes = splat_tile(rule, &codes, number);
      residual_sums sums = {0};
      for (int64_t i = 0; i < tile.rows; i++) {
        const float *weights = tile.weights + i * tile.stride;
        int64_t at = 0;
        for (; at + ENCODED <= tile.columns; at += ENCODED) add_residuals(rule, &codes, lanes, &by, weights + at, ENCODED, &sums);
        if (at == tile.columns) continue;
        float some[ENCODED] = {0};
        for (int64_t j = at; j < tile.columns; j++) some[j - at] = weights[j];
        add_residuals(rule, &codes, lanes, &by, some, tile.columns - at, &sums);
      }
      errors[number] = total_of(sums.errors);
      centres[number] = total_of(sums.centres);
    }
  }
}

static double run_tile_residuals(const quern_call *call) {
  FOR_RULE((int)call->numbers[6], tile_residuals, call);
  return 0;
}

#endif
