// tileRanges: smallest and largest weight of each tile. searchTiles: of several scales and shifts, with which a tile has the least error.
// Tiles are numbered one row of tiles after the other.
//
// tileRanges. Numbers: rows, columns, stride, rows and columns of a tile. Arrays: weights (float), importance (float, by column, may be
// left out), low, high (float, by tile).
//
// searchTiles. Numbers: rows, columns, stride, tries, exponent of errors, then those of tile_codes. Arrays: weights (float), importance
// (float, by column, may be left out), blocks of a Hessian (float, tile_columns x tile_columns for each tile across; may be left out),
// best (float, by tile: the number of the try), scales and shifts (float, tries for each tile), table, how many tries a tile has (float, by
// tile; may be left out).
#ifndef QUERN_MATH_FIT_TILES_H
#define QUERN_MATH_FIT_TILES_H

#include "math/functions.h"
#include "math/tile-codes.h"

typedef struct {
  const float *weights, *importance;
  int64_t rows, columns, stride;
} weight_tile;

// Tile by tile; those at the edges are smaller.
typedef struct {
  int64_t rows, columns, stride, tile_rows, tile_columns;
  const float *weights, *importance;
} weight_tiles;

INLINE weight_tile tile_at(const weight_tiles *all, int64_t row, int64_t column) {
  return (weight_tile){
      .weights = all->weights + row * all->stride + column,
      .importance = all->importance ? all->importance + column : NULL,
      .rows = all->rows - row < all->tile_rows ? all->rows - row : all->tile_rows,
      .columns = all->columns - column < all->tile_columns ? all->columns - column : all->tile_columns,
      .stride = all->stride,
  };
}

// ---- Ranges

// Of weights that count; zeros come out as +0.
INLINE bool range_of(const weight_tile *tile, bool weighted, float *low, float *high) {
  float infinity = __builtin_inff();
  vf least = vsplat(infinity), most = vsplat(-infinity);
  for (int64_t row = 0; row < tile->rows; row++) {
    const float *weights = tile->weights + row * tile->stride;
    for (int64_t column = 0; column < tile->columns; column += VEC_LANES) {
      int64_t count = tile->columns - column;
      vf weight = count < VEC_LANES ? vload_part(weights + column, count) : vload(weights + column);
      vm counts = count < VEC_LANES ? vlt_int(vsequence(0), vsplat_int((int32_t)count)) : vmask_all();
      if (weighted) {
        vf importance = count < VEC_LANES ? vload_part(tile->importance + column, count) : vload(tile->importance + column);
        counts &= vmask_not(veq(importance, (vf){0}));
      }
      least = vselect(counts, vmin(weight, least), least);
      most = vselect(counts, vmax(weight, most), most);
    }
  }
  *low = infinity;
  *high = -infinity;
  for (int lane = 0; lane < VEC_LANES; lane++) {
    if (least[lane] < *low) *low = least[lane];
    if (most[lane] > *high) *high = most[lane];
  }
  *low += 0.0f;
  *high += 0.0f;
  return *low <= *high;
}

static double run_tile_ranges(const quern_call *call) {
  const double *n = call->numbers;
  weight_tiles all = {(int64_t)n[0], (int64_t)n[1], (int64_t)n[2], (int64_t)n[3], (int64_t)n[4], call->arrays[0], call->arrays[1]};
  float *low = call->arrays[2], *high = call->arrays[3];
  for (int64_t row = 0; row < all.rows; row += all.tile_rows) {
    for (int64_t column = 0; column < all.columns; column += all.tile_columns, low++, high++) {
      weight_tile tile = tile_at(&all, row, column);
      // Where nothing counts, everything does.
      if (!all.importance || !range_of(&tile, true, low, high)) range_of(&tile, false, low, high);
    }
  }
  return 0;
}

// ---- Searches: another try in each lane

// Sums over this many elements are F32, and added in F64.
enum { SUMMED = 256 };

INLINE void add_sums(vf sums, double *totals) {
  for (int lane = 0; lane < VEC_LANES; lane++) totals[lane] += (double)sums[lane];
}

INLINE vf error_of(int rule, const tile_codes *codes, tile_lanes tries, float weight) {
  vf value = vsplat(weight);
  return value - encode_lanes(rule, codes, value, tries).value;
}

INLINE void sum_errors(int rule, const tile_codes *codes, tile_lanes tries, const weight_tile *tile, float exponent, double *totals) {
  for (int64_t row = 0; row < tile->rows; row++) {
    const float *weights = tile->weights + row * tile->stride;
    for (int64_t start = 0; start < tile->columns; start += SUMMED) {
      int64_t end = tile->columns - start < SUMMED ? tile->columns : start + SUMMED;
      vf sums = {0};
      for (int64_t i = start; i < end; i++) {
        vf error = error_of(rule, codes, tries, weights[i]);
        vf cost = exponent == 2 ? error * error : vpower(vabs(error), exponent);
        sums += tile->importance ? cost * vsplat(tile->importance[i]) : cost;
      }
      add_sums(sums, totals);
    }
  }
}

// e H e^T of each row, the triangle below the diagonal counted twice.
INLINE void sum_in_hessian(int rule, const tile_codes *codes, tile_lanes tries, const weight_tile *tile, const float *hessian, vf *errors,
                           double *totals) {
  for (int64_t row = 0; row < tile->rows; row++) {
    const float *weights = tile->weights + row * tile->stride;
    for (int64_t start = 0; start < tile->columns; start += SUMMED) {
      int64_t end = tile->columns - start < SUMMED ? tile->columns : start + SUMMED;
      vf sums = {0};
      for (int64_t i = start; i < end; i++) {
        const float *h = hessian + i * codes->tile_columns;
        vf error = error_of(rule, codes, tries, weights[i]), product = error * vsplat(0.5f * h[i]);
        for (int64_t j = 0; j < i; j++) product += errors[j] * vsplat(h[j]);
        errors[i] = error;
        sums += product * error * 2.0f;
      }
      add_sums(sums, totals);
    }
  }
}

// The first `count` elements, and for other lanes the last of them.
INLINE vf load_tries(const float *source, int64_t count) {
  float lanes[VEC_LANES];
  for (int64_t lane = 0; lane < VEC_LANES; lane++) lanes[lane] = source[lane < count ? lane : count - 1];
  return vload(lanes);
}

static int64_t scratch_of_search(const double *numbers) {
  // tile_columns
  return (int64_t)numbers[10] * (int64_t)sizeof(vf);
}

INLINE void search_tiles(int rule, const quern_call *call) {
  const double *n = call->numbers;
  const float *scales = call->arrays[4], *shifts = call->arrays[5], *hessian = call->arrays[2];
  tile_codes codes = tile_codes_of(n + 5, scales, shifts, call->arrays[6]);
  weight_tiles all = {(int64_t)n[0], (int64_t)n[1], (int64_t)n[2], codes.tile_rows, codes.tile_columns, call->arrays[0], call->arrays[1]};
  int64_t most_tries = (int64_t)n[3], number = 0;
  const float *counts = call->arrays[7];
  float *best = call->arrays[3];
  for (int64_t row = 0; row < all.rows; row += all.tile_rows) {
    for (int64_t column = 0; column < all.columns; column += all.tile_columns, number++) {
      weight_tile tile = tile_at(&all, row, column);
      double least = __builtin_inf();
      best[number] = 0;
      int64_t tries = counts ? (int64_t)counts[number] : most_tries;
      for (int64_t first = 0; first < tries; first += VEC_LANES) {
        int64_t count = tries - first < VEC_LANES ? tries - first : VEC_LANES, at = number * most_tries + first;
        double totals[VEC_LANES] = {0};
        vf shift = has_shift(rule) ? load_tries(shifts + at, count) : (vf){0};
        tile_lanes lanes = lanes_of_tile(rule, load_tries(scales + at, count), shift);
        if (hessian) {
          const float *block = hessian + column * codes.tile_columns;
          sum_in_hessian(rule, &codes, lanes, &tile, block, (vf *)call->scratch, totals);
        } else {
          sum_errors(rule, &codes, lanes, &tile, (float)n[4], totals);
        }
        for (int64_t lane = 0; lane < count; lane++) {
          if (!(totals[lane] < least)) continue;
          least = totals[lane];
          best[number] = (float)(first + lane);
        }
      }
    }
  }
}

static double run_search_tiles(const quern_call *call) {
  FOR_RULE((int)call->numbers[5], search_tiles, call);
  return 0;
}

#endif
