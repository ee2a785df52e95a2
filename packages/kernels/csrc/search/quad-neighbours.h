// The search for the neighbour of a cell (grids/grid.h, four dimensions) with the smallest weighted squared error, where level l
// stands for 2 * l + 1 times a scale: iq3_find_best_neighbour of ggml-quants.c (llama.cpp v0.5.0), for one quad at many scales.
//
// What an element adds to the error depends on its level alone. The eight costs of each element are computed first; the error of
// a neighbour is the sum of four of them, in the order of the elements.
#ifndef QUERN_SEARCH_QUAD_NEIGHBOURS_H
#define QUERN_SEARCH_QUAD_NEIGHBOURS_H

#include "grids/grid.h"
#include "half.h"
#include "search/lanes.h"

enum { QUAD = 4, QUAD_LEVELS = 8, QUAD_LARGEST_VALUE = 15, MOST_TRIES = 32, LONGEST_QUAD_LIST = 48 };
enum { QUAD_CODE = 0xfff, QUAD_NEIGHBOUR = 0x1000 };

// Twice, for vectors of 16.
static const float QUAD_VALUES[16] = {1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15};

// FLT_MAX: the reference knows no neighbour that costs as much, and stops when there is no other. Here the first one does then.
#define DEAREST 0x1.fffffep127f

#if VEC_LANES >= 8

// Costs are looked up in registers: lanes are levels, then neighbours.

enum { COST_VECTORS = QUAD * QUAD_LEVELS / VEC_LANES };
typedef struct {
  vf x[COST_VECTORS], roots[COST_VECTORS]; // for each level of each dimension
} quad_target;

INLINE vf vquad_splat(const float *values, int vector) {
#if VEC_LANES == 16
  return vselect(vlt_int(vcount(0), vsplat_int(8)), vsplat(values[2 * vector]), vsplat(values[2 * vector + 1]));
#else
  return vsplat(values[vector]);
#endif
}

// Tries from low to high - 1, which have the same list, of `vectors` vectors.
INLINE void quad_judge_run(int vectors, const uint16_t *list, int length, const quad_target *target, const float *scales, int low,
                           int high, int32_t *points) {
  const vf values = vload(QUAD_VALUES);
  vi levels[LONGEST_QUAD_LIST / VEC_LANES][QUAD];
  for (int v = 0; v < vectors; v++) {
    vi codes = vload_u16((const uint8_t *)(list + v * VEC_LANES));
    // The bits of other levels do not count, except that pairs of dimensions share vectors of 16.
    for (int i = 0; i < QUAD; i++) levels[v][i] = VEC_LANES == 8 ? codes >> 3 * i : (codes >> 3 * i & 7) + i % 2 * 8;
  }
  for (int t = low; t < high; t++) {
    vf costs[COST_VECTORS], errors[LONGEST_QUAD_LIST / VEC_LANES], least;
    for (int j = 0; j < COST_VECTORS; j++) {
      vf difference = scales[t] * values - target->x[j];
      costs[j] = target->roots[j] * difference * difference;
    }
    for (int v = 0; v < vectors; v++) {
      vf error = vpermute(costs[0], levels[v][0]);
      for (int i = 1; i < QUAD; i++) error += vpermute(costs[i * COST_VECTORS / QUAD], levels[v][i]);
      if (VEC_LANES > GRID_LANES) error = vselect(vlt_int(vcount(v * VEC_LANES), vsplat_int(length)), error, vsplat(DEAREST));
      errors[v] = vmin(error, vsplat(DEAREST));
      least = v == 0 ? errors[v] : vmin(errors[v], least);
    }
    least = vsmallest(least);
    uint64_t cheapest = 0;
    for (int v = 0; v < vectors; v++) cheapest |= (uint64_t)vmask_bits(veq(errors[v], least)) << v * VEC_LANES;
    points[t] = list[__builtin_ctzll(cheapest)] | QUAD_NEIGHBOUR;
  }
}

// Replaces cells that are no points by their neighbours. starts: as bits, the tries at which the cell changes.
INLINE void quad_judge(const quern_grid *grid, int tries, const float *x, const float *roots, const float *scales,
                       uint32_t starts, int32_t *points) {
  quad_target target;
  for (int j = 0; j < COST_VECTORS; j++) {
    target.x[j] = vquad_splat(x, j);
    target.roots[j] = vquad_splat(roots, j);
  }
  while (starts != 0) {
    int low = __builtin_ctz(starts);
    starts &= starts - 1;
    uint32_t entry = grid->cells[points[low]];
    if (grid_is_point(entry)) continue;
    int high = __builtin_ctzll(starts | 1ull << tries), length = (int)grid_length(entry);
    const uint16_t *list = grid_list(grid, entry);
    if (length <= VEC_LANES)
      quad_judge_run(1, list, length, &target, scales, low, high, points);
    else if (length <= 2 * VEC_LANES)
      quad_judge_run(2, list, length, &target, scales, low, high, points);
    else
      quad_judge_run((length + VEC_LANES - 1) / VEC_LANES, list, length, &target, scales, low, high, points);
  }
}

#else

// Costs are looked up in memory: lanes are tries. VEC_LANES tries at a time add up the same four rows of a table that all lists
// of the quad share.

enum { TRY_VECTORS = MOST_TRIES / VEC_LANES };
typedef vf quad_costs[QUAD * QUAD_LEVELS][TRY_VECTORS];

// levels: 8 * dimension + level of what is needed, as bits.
INLINE void quad_cost(int vectors, const float *x, const float *roots, const float *scales, uint32_t levels, quad_costs costs) {
  for (; levels != 0; levels &= levels - 1) {
    int at = __builtin_ctz(levels), i = at / QUAD_LEVELS;
    vf value = vsplat(QUAD_VALUES[at % QUAD_LEVELS]), wanted = vsplat(x[i]), root = vsplat(roots[i]);
    for (int v = 0; v < vectors; v++) {
      vf difference = vload(scales + v * VEC_LANES) * value - wanted;
      costs[at][v] = root * difference * difference;
    }
  }
}

// The level of dimension i, times 16, in byte i: as a number of 8 bytes, how far the costs of a level are from those of level 0.
typedef struct {
  uint8_t rows[QUAD];
} quad_rows;
_Static_assert(sizeof(vf[TRY_VECTORS]) == 16 * 8, "quad_rows count in 8 bytes");

INLINE void quad_rows_of(const uint16_t *list, int length, quad_rows *rows) {
  for (int n = 0; n < length; n += VEC_LANES) {
    vi codes = vload_u16((const uint8_t *)(list + n));
    vi levels = (codes & 7) | (codes << 5 & 0x700) | (codes << 10 & 0x70000) | (codes << 15 & 0x7000000);
    vstore((float *)(rows + n), (vf)(levels << 4));
  }
}

// The first of the cheapest codes in each lane. costs: of level 0 of the first dimension.
INLINE vi quad_cheapest(const vf *costs, const uint16_t *list, const quad_rows *rows, int length) {
  const char *column = (const char *)costs;
  enum { DIMENSION = sizeof(vf[QUAD_LEVELS][TRY_VECTORS]) };
  vf least = vsplat(DEAREST);
  vi code = vsplat_int(list[0]);
  for (int n = 0; n < length; n++) {
    vf error = *(const vf *)(column + 8 * (uintptr_t)rows[n].rows[0]);
    for (int i = 1; i < QUAD; i++) error += *(const vf *)(column + DIMENSION * i + 8 * (uintptr_t)rows[n].rows[i]);
    code = vselect_int(vlt(error, least), vsplat_int(list[n]), code);
    least = vmin(error, least);
  }
  return code;
}

// Replaces cells that are no points by their neighbours. starts: as bits, the tries at which the cell changes.
INLINE void quad_judge(const quern_grid *grid, int tries, const float *x, const float *roots, const float *scales,
                       uint32_t starts, int32_t *points) {
  const int vectors = (tries + VEC_LANES - 1) / VEC_LANES;
  quad_costs costs;
  uint32_t levels = 0, segments = starts | (uint32_t)(0x1111111111ull & ((1ull << vectors * VEC_LANES) - 1));
  for (; starts != 0; starts &= starts - 1) levels |= grid->levels[points[__builtin_ctz(starts)]];
  quad_cost(vectors, x, roots, scales, levels, costs);
  for (; segments != 0; segments &= segments - 1) {
    int first = __builtin_ctz(segments), v = first / VEC_LANES;
    int32_t cell = points[first];
    uint32_t entry = grid->cells[cell];
    if (grid_is_point(entry)) continue;
    quad_rows rows[LONGEST_QUAD_LIST];
    const uint16_t *list = grid_list(grid, entry);
    quad_rows_of(list, (int)grid_length(entry), rows);
    vi found = quad_cheapest(&costs[0][v], list, rows, (int)grid_length(entry)) | QUAD_NEIGHBOUR;
    vi at = (vi)vload((const float *)(points + v * VEC_LANES));
    vstore((float *)(points + v * VEC_LANES), (vf)vselect_int(veq_int(at, vsplat_int(cell)), found, at));
  }
}

#endif

#endif
