// Codes of weights in tiles: which is the nearest, and what it means. All arithmetic is F32, nothing is fused: every instruction set
// decides alike, and like the code of @quern/quantize that these rules come from.
//
// A scale of 0 is fine: codes are those of weights that are 0.
#ifndef QUERN_MATH_TILE_CODES_H
#define QUERN_MATH_TILE_CODES_H

#include "math/lanes.h"
#include "math/operation.h"

// How a code is found and what it means, for a scale and a shift.
enum {
  BY_ZERO,       // round(w / scale) + shift, clamped; scale * (code - shift)
  BY_OFFSET,     // round((w - shift) / scale), clamped; scale * code + shift
  BY_TABLE,      // by thresholds of w / scale; table[code] * scale
  BY_RECIPROCAL, // the same by thresholds of w * (1 / scale)
  BY_SHIFTED,    // by thresholds of (w - shift) / scale; table[code] * scale + shift
  UNROUNDED,     // no codes: weights as they are; for compensateColumns
};

enum { MOST_LEVELS = 256 };

// A table by ranks: the levels that are nearest to something, from below. Padded: thresholds with the largest integer.
typedef struct {
  int32_t thresholds[MOST_LEVELS]; // a level has those keys (see key_of) that are larger than the threshold before it
  int32_t codes[MOST_LEVELS];
  float values[MOST_LEVELS];         // by rank
  float values_by_code[MOST_LEVELS]; // by code
} code_table;

typedef struct {
  int rule;
  float least, most; // codes
  bool few;          // at most 16 levels
  const code_table *table;
  const float *scales, *shifts; // by tile, one row of tiles after the other; shifts are NULL for most tables
  int64_t tile_rows, tile_columns, across;
} tile_codes;

// How many numbers that takes: rule, least, most, levels, rows and columns of a tile, tiles across.
enum { TILE_CODES_NUMBERS = 7 };

INLINE tile_codes tile_codes_of(const double *numbers, const float *scales, const float *shifts, const void *table) {
  return (tile_codes){
      .rule = (int)numbers[0],
      .least = (float)numbers[1],
      .most = (float)numbers[2],
      .few = numbers[3] <= 16,
      .table = table,
      .scales = scales,
      .shifts = shifts,
      .tile_rows = (int64_t)numbers[4],
      .tile_columns = (int64_t)numbers[5],
      .across = (int64_t)numbers[6],
  };
}

// Calls a function that is inlined, with the rule as a constant.
#define FOR_RULE(rule, function, ...)                          \
  switch (rule) {                                              \
  case BY_ZERO: function(BY_ZERO, __VA_ARGS__); break;         \
  case BY_OFFSET: function(BY_OFFSET, __VA_ARGS__); break;     \
  case BY_TABLE: function(BY_TABLE, __VA_ARGS__); break;       \
  case BY_SHIFTED: function(BY_SHIFTED, __VA_ARGS__); break;   \
  default: function(BY_RECIPROCAL, __VA_ARGS__);               \
  }

INLINE bool has_shift(int rule) { return rule == BY_ZERO || rule == BY_OFFSET || rule == BY_SHIFTED; }

// ---- One element in each lane

// Of the tile of each lane.
typedef struct {
  vf scale, divisor, shift;
} tile_lanes;

INLINE tile_lanes lanes_of_tile(int rule, vf scale, vf shift) {
  vf divisor = vselect(veq(scale, (vf){0}), vsplat(__builtin_inff()), scale);
  // Reciprocals of what is smaller than 1e-38, which is what bitsandbytes stores for 0, would be infinite.
  if (rule == BY_RECIPROCAL) divisor = 1 / vmax(scale, vsplat(1e-38f));
  return (tile_lanes){scale, divisor, shift};
}

// The tile of one element in all lanes.
INLINE tile_lanes splat_tile(int rule, const tile_codes *codes, int64_t tile) {
  float shift = has_shift(rule) ? codes->shifts[tile] : 0;
  return lanes_of_tile(rule, vsplat(codes->scales[tile]), vsplat(shift));
}

// In a column, the tiles of VEC_LANES rows; rows past the last one repeat it.
INLINE tile_lanes tiles_of_rows(int rule, const tile_codes *codes, int64_t row, int64_t rows, int64_t column) {
  if (rule == UNROUNDED) return (tile_lanes){0};
  float scale[VEC_LANES], shift[VEC_LANES] = {0};
  for (int64_t lane = 0; lane < VEC_LANES; lane++) {
    int64_t at = row + (lane < rows ? lane : rows - 1);
    int64_t tile = at / codes->tile_rows * codes->across + column / codes->tile_columns;
    scale[lane] = codes->scales[tile];
    if (has_shift(rule)) shift[lane] = codes->shifts[tile];
  }
  return lanes_of_tile(rule, vload(scale), vload(shift));
}

// Floats in the order of integers, -0 below +0.
INLINE vi key_of(vf x) {
  vi bits = (vi)x;
  return bits ^ (bits >> 31 & 0x7fffffff);
}

// How many thresholds are smaller than the key of x.
INLINE vi rank_of(const tile_codes *codes, vf x) {
  vi key = key_of(x), rank = {0};
  const int32_t *thresholds = codes->table->thresholds;
  if (codes->few) {
#pragma GCC unroll 15
    for (int i = 0; i < 15; i++) rank = vcount(rank, vlt_int(vsplat_int(thresholds[i]), key));
    return rank;
  }
  for (int step = MOST_LEVELS / 2; step > 0; step /= 2) {
    vm above = vlt_int(vgather_int(thresholds, rank + (step - 1)), key);
    rank = vselect_int(above, rank + step, rank);
  }
  return rank;
}

typedef struct {
  vf code; // a whole number; for tables the rank
  vf value;
} coded_lanes;

// Far beyond all codes, so that rounding is exact: what is not a number goes to the lowest.
INLINE vf round_code(vf x) { return vround(vclamp(x, -1024, 1024)); }

INLINE coded_lanes encode_lanes(int rule, const tile_codes *codes, vf weight, tile_lanes tile) {
  if (rule == UNROUNDED) return (coded_lanes){(vf){0}, weight};
  if (rule == BY_ZERO) {
    vf code = vclamp(round_code(weight / tile.divisor) + tile.shift, codes->least, codes->most);
    return (coded_lanes){code, tile.scale * (code - tile.shift)};
  }
  if (rule == BY_OFFSET) {
    vf code = vclamp(round_code((weight - tile.shift) / tile.divisor), codes->least, codes->most);
    return (coded_lanes){code, tile.scale * code + tile.shift};
  }
  vf from = rule == BY_SHIFTED ? weight - tile.shift : weight;
  vi rank = rank_of(codes, rule == BY_RECIPROCAL ? from * tile.divisor : from / tile.divisor);
  vf value = vgather(codes->table->values, rank) * tile.scale;
  return (coded_lanes){(vf)rank, rule == BY_SHIFTED ? value + tile.shift : value};
}

INLINE vi integer_code(int rule, const tile_codes *codes, vf code) {
  return rule == BY_ZERO || rule == BY_OFFSET ? vinteger(code) : vgather_int(codes->table->codes, (vi)code);
}

INLINE vf decode_lanes(int rule, const tile_codes *codes, vi code, tile_lanes tile) {
  if (rule == BY_ZERO) return tile.scale * (vfloat(code) - tile.shift);
  if (rule == BY_OFFSET) return tile.scale * vfloat(code) + tile.shift;
  vf value = vgather(codes->table->values_by_code, code) * tile.scale;
  return rule == BY_SHIFTED ? value + tile.shift : value;
}

#endif
