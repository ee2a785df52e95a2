// The neighbours of one cell (grids/grid.h, eight dimensions) that are best at several scales, where level l stands for 2 * l + 1
// times the scale: what search/grid-neighbour.h finds one by one, found for nearly all of them together.
//
// The error of a neighbour with the values q is the sum of w * (s * q - x)^2. Without the part that all neighbours share, and
// divided by the scale s, that is s * a - b, where a is the sum of w * q * q, and b that of 2 * w * x * q. These are computed once
// for a run of scales. They are rounded in other ways than the errors that ggml compares, so that only a neighbour that is best by
// more than a margin is sure to be ggml's; other scales are left to a search that adds up as ggml does.
#ifndef QUERN_SEARCH_NEIGHBOUR_RUNS_H
#define QUERN_SEARCH_NEIGHBOUR_RUNS_H

#include "search/grid-neighbour.h"

// The margin is this times sum(w) * (5 * s + |x|)^2 / s, for the largest x. With u = 2^-24 and S = sum of w * (s * q + |x|)^2:
// errors as ggml computes them are within 13.3 * u * S of the real ones (4 u for the difference, 2 u for the products, 7 u for the
// sum), and s * (s * a - b) is within 10.2 * u * S of its own. Two of each differ by less than 48 * u * S from what they should.
// That holds while nothing overflows and S is large against denormal numbers.
#define RUN_MARGIN 0x1p-18f

enum { LONGEST_RUN_LIST = 32 };

// A group, a list of neighbours, and the scales at which they are judged.
typedef struct {
  const float *row;     // x and weights of the group, four by four
  const uint16_t *list; // padded (grids/grid.h)
  int length;           // 1 ... LONGEST_RUN_LIST
  int low, high;        // scales from low to high - 1
  int stride;           // from one scale to the next, and from one code to the next
  const float *scales;
  uint16_t *codes;      // the best neighbours
  float margin;
} neighbour_run;

// What each element adds to a and b at each level.
typedef struct {
  level_table a[GROUP], b[GROUP];
} run_tables;

INLINE void run_tables_of(const float *row, run_tables *tables) {
  for (int half = 0; half < 2; half++) {
    vf x = vload_repeated(row + half * 8), w = vload_repeated(row + half * 8 + 4), b = 2 * w * x;
    level_tables_of(w, 9 * w, 25 * w, tables->a + half * 4);
    level_tables_of(b, 3 * b, 5 * b, tables->b + half * 4);
  }
}

// Sets codes, and returns, as bits, the scales at which they are not sure. vectors is how many of them hold the list.
INLINE uint32_t run_winners(int vectors, const neighbour_run *run) {
  vf a[LONGEST_RUN_LIST / VEC_LANES], b[LONGEST_RUN_LIST / VEC_LANES], errors[LONGEST_RUN_LIST / VEC_LANES];
  run_tables tables;
  run_tables_of(run->row, &tables);
  for (int v = 0; v < vectors; v++) {
    level_codes levels = level_codes_of(vload_u16((const uint8_t *)(run->list + v * VEC_LANES)));
    a[v] = level_value(tables.a[0], levels, 0);
    b[v] = level_value(tables.b[0], levels, 0);
#pragma GCC unroll 8
    for (int i = 1; i < GROUP; i++) {
      a[v] += level_value(tables.a[i], levels, i);
      b[v] += level_value(tables.b[i], levels, i);
    }
  }
  // The last code is repeated where the list is padded.
  const uint32_t last = 1u << (run->length - 1), listed = last | (last - 1);
  uint32_t unsure = 0;
  for (int t = run->low; t < run->high; t++) {
    vf least, scale = vsplat(run->scales[t * run->stride]);
    for (int v = 0; v < vectors; v++) {
      errors[v] = scale * a[v] - b[v];
      least = v == 0 ? errors[v] : vmin(errors[v], least);
    }
    vf limit = vsmallest(least) + run->margin;
    uint32_t near = 0;
    for (int v = 0; v < vectors; v++) near |= vmask_bits(vlt(errors[v], limit)) << v * VEC_LANES;
    near &= listed;
    unsure |= (uint32_t)(near == 0 || (near & (near - 1)) != 0) << t;
    run->codes[t * run->stride] = run->list[__builtin_ctz(near | last)];
  }
  return unsure;
}

#endif
