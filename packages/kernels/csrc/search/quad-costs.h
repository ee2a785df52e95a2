// The neighbours of the cells of a quad with the smallest errors, at many scales, for vectors of eight lanes and more.
//
// What an element adds to the error depends on its level alone. The eight costs of each element are computed first, and looked up
// in registers; the error of a neighbour is the sum of four of them, in the order of the elements.
#ifndef QUERN_SEARCH_QUAD_COSTS_H
#define QUERN_SEARCH_QUAD_COSTS_H

#include "search/quad-neighbours.h"

// Every eight lanes are the levels of an element at one scale, then eight neighbours.

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
      errors[v] = vmin(error, vsplat(LARGEST_FLOAT));
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

// Replaces cells that are no points by their neighbours. starts: as bits, the tries at which the cell changes. bounded matters to
// the other way alone (search/quad-lines.h).
INLINE void quad_judge(const quern_grid *grid, int tries, bool bounded, const float *x, const float *roots, const float *scales,
                       uint32_t starts, int32_t *points) {
  (void)bounded;
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

#endif
