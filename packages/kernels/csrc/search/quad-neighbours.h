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

// Costs are looked up in registers: every eight lanes are the levels of an element at one scale, then eight neighbours.

enum { AT_ONCE = VEC_LANES / QUAD_LEVELS }; // tries

// Eight codes as indices, for each try at once.
INLINE vi vload_codes(const uint16_t *codes) {
#if VEC_LANES == 16
  __m256i eight = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)codes));
  return (vi)_mm512_broadcast_i32x8(eight);
#else
  return vload_u16((const uint8_t *)codes);
#endif
}

// Levels in the lowest bits as indices of the costs of each try at once. Bits of other levels do not count in an index, unless it
// has four.
INLINE vi vlevel_index(vi levels) {
#if VEC_LANES == 16
  // (levels & 7) | (lane & 8)
  return (vi)_mm512_ternarylogic_epi32((__m512i)levels, _mm512_set1_epi32(7), (__m512i)(vsequence(0) & 8), 0xea);
#else
  return levels;
#endif
}

// The scales of as many tries as there are at once.
INLINE vf vload_scales(const float *scales) {
#if VEC_LANES == 16
  return vselect(0xff00, vsplat(scales[1]), vsplat(scales[0]));
#else
  return vsplat(scales[0]);
#endif
}

// Tries from low to high - 1, which have the same list. points[high] is written to, but kept.
INLINE void quad_judge_run(int vectors, const uint16_t *list, const vf *x, const vf *roots, const float *scales,
                           intptr_t low, intptr_t high, int32_t *points) {
  const vf values = vload(QUAD_VALUES);
  const int32_t kept = points[high];
  vi levels[LONGEST_QUAD_LIST / 8][QUAD];
  for (int v = 0; v < vectors; v++) {
    vi codes = vload_codes(list + v * 8);
    for (int i = 0; i < QUAD; i++) levels[v][i] = vlevel_index(codes >> 3 * i);
  }
  for (intptr_t t = low; t < high; t += AT_ONCE) {
    vf costs[QUAD], errors[LONGEST_QUAD_LIST / 8], least, scaled = vload_scales(scales + t) * values;
    for (int i = 0; i < QUAD; i++) {
      vf difference = scaled - x[i];
      costs[i] = roots[i] * difference * difference;
    }
    for (int v = 0; v < vectors; v++) {
      vf error = vpermute(costs[0], levels[v][0]);
      for (int i = 1; i < QUAD; i++) error += vpermute(costs[i], levels[v][i]);
      errors[v] = vmin(error, vsplat(DEAREST));
      least = v == 0 ? errors[v] : vmin(errors[v], least);
    }
    least = vsmallest_of_8(least);
    uint64_t cheapest[AT_ONCE] = {0};
    for (int v = 0; v < vectors; v++) {
      uint32_t bits = vmask_bits(veq(errors[v], least));
      for (int n = 0; n < AT_ONCE; n++) {
        // What is above the lowest bit of the last vector is of no interest.
        bool last = n == AT_ONCE - 1 || v == vectors - 1;
        cheapest[n] |= (uint64_t)(last ? bits >> 8 * n : bits >> 8 * n & 255) << 8 * v;
      }
    }
    for (int n = 0; n < AT_ONCE; n++) points[t + n] = QUAD_NEIGHBOUR + list[(uint32_t)__builtin_ctzll(cheapest[n])];
  }
  points[high] = kept;
}

// Replaces cells that are no points by their neighbours. starts: as bits, the tries at which the cell changes.
INLINE void quad_judge(const quern_grid *grid, int tries, const float *x, const float *roots, const float *scales,
                       uint32_t starts, int32_t *points) {
  vf wanted[QUAD], root[QUAD];
  for (int i = 0; i < QUAD; i++) {
    wanted[i] = vsplat(x[i]);
    root[i] = vsplat(roots[i]);
  }
  int next_low = __builtin_ctz(starts);
  uint32_t next_entry = grid->cells[points[next_low]];
  while (starts != 0) {
    int low = next_low;
    uint32_t entry = next_entry;
    starts &= starts - 1;
    int high = __builtin_ctz(starts | 1u << tries), length = (int)grid_length(entry);
    // How long a run is comes as a surprise to the processor: then what is next should be at hand.
    next_low = starts != 0 ? __builtin_ctz(starts) : low;
    next_entry = grid->cells[points[next_low]];
    __builtin_prefetch(grid_list(grid, next_entry));
    if (grid_is_point(entry)) continue;
    const uint16_t *list = grid_list(grid, entry);
    if (length <= 8)
      quad_judge_run(1, list, wanted, root, scales, low, high, points);
    else if (length <= 16)
      quad_judge_run(2, list, wanted, root, scales, low, high, points);
    else
      quad_judge_run((length + 7) / 8, list, wanted, root, scales, low, high, points);
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

// A neighbour. Byte i of `rows` is the level of dimension i, times 16: as a number of 8 bytes, how far the costs of that level are
// from those of level 0.
typedef struct {
  uint8_t rows[LONGEST_QUAD_LIST][QUAD];
  int32_t points[LONGEST_QUAD_LIST];
} quad_list;
_Static_assert(sizeof(vf[TRY_VECTORS]) == 16 * 8, "rows count in 8 bytes");

INLINE void quad_read_list(const uint16_t *codes, int length, quad_list *list) {
  // Lists are padded.
  for (int start = 0; start < length; start += 8) {
    for (int n = start; n < start + 8; n += VEC_LANES) {
      vi code = vload_u16((const uint8_t *)(codes + n));
      vi levels = (code & 7) | (code << 5 & 0x700) | (code << 10 & 0x70000) | (code << 15 & 0x7000000);
      vstore((float *)list->rows[n], (vf)(levels << 4));
      vstore((float *)(list->points + n), (vf)(code | QUAD_NEIGHBOUR));
    }
  }
}

// The first of the cheapest neighbours in each lane. costs: of level 0 of the first dimension.
INLINE vi quad_cheapest(const vf *costs, const quad_list *list, int length) {
  const char *column = (const char *)costs;
  enum { DIMENSION = sizeof(vf[QUAD_LEVELS][TRY_VECTORS]) };
  vf least = vsplat(DEAREST);
  vi point = vsplat_int(list->points[0]);
  for (int start = 0; start < length; start += 4) {
#pragma GCC unroll 4
    for (int n = start; n < start + 4; n++) {
      vf error = *(const vf *)(column + 8 * (uintptr_t)list->rows[n][0]);
      for (int i = 1; i < QUAD; i++) error += *(const vf *)(column + DIMENSION * i + 8 * (uintptr_t)list->rows[n][i]);
      point = vselect_int(vlt(error, least), vsplat_int(list->points[n]), point);
      least = vmin(error, least);
    }
  }
  return point;
}

// Replaces cells that are no points by their neighbours. starts: as bits, the tries at which the cell changes.
INLINE void quad_judge(const quern_grid *grid, int tries, const float *x, const float *roots, const float *scales,
                       uint32_t starts, int32_t *points) {
  const int vectors = (tries + VEC_LANES - 1) / VEC_LANES;
  quad_costs costs;
  uint32_t levels = 0;
  // Where rounding wraps around, a cell comes back after others have been; some of its tries may have their points by then.
  int32_t cells[MOST_TRIES];
  for (int v = 0; v < vectors; v++) vstore((float *)(cells + v * VEC_LANES), vload((const float *)(points + v * VEC_LANES)));
  for (uint32_t left = starts; left != 0; left &= left - 1) levels |= grid->levels[points[__builtin_ctz(left)]];
  quad_cost(vectors, x, roots, scales, levels, costs);
  while (starts != 0) {
    int low = __builtin_ctz(starts);
    starts &= starts - 1;
    int32_t cell = cells[low];
    uint32_t entry = grid->cells[cell];
    if (grid_is_point(entry)) continue;
    int high = __builtin_ctz(starts | 1u << tries), length = (int)grid_length(entry);
    quad_list list;
    quad_read_list(grid_list(grid, entry), length, &list);
    for (int v = low / VEC_LANES; v * VEC_LANES < high; v++) {
      vi found = quad_cheapest(&costs[0][v], &list, length), at = (vi)vload((const float *)(points + v * VEC_LANES));
      vstore((float *)(points + v * VEC_LANES), (vf)vselect_int(veq_int(at, vsplat_int(cell)), found, at));
    }
  }
}

#endif

#endif
