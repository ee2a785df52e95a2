// The neighbours of the cells of a quad with the smallest errors, at many scales, for vectors of four lanes. (Wider ones look up
// errors in registers faster than that: search/quad-costs.h.)
//
// The error of a neighbour with the levels l is the sum of w * (s * (2 * l + 1) - x)^2. Without the part that all neighbours
// share, and divided by 4 * s, that is s * a - b, where a is the sum of w * l * (l + 1), and b that of w * x * l: a straight line
// over the scales. So a neighbour that is best at both ends of a run of scales is best between them.
//
// The lines are rounded in other ways than the errors that ggml compares, so that only a neighbour that is best by more than a
// margin is sure to be ggml's; other scales are left to a search that adds up as ggml does.
#ifndef QUERN_SEARCH_QUAD_LINES_H
#define QUERN_SEARCH_QUAD_LINES_H

#include "search/quad-neighbours.h"

enum { LONGEST_LINE_LIST = 32 };

// The margin is this times sum(w * (15 * s + |x|)^2) / (4 * s), with the largest scale above and the smallest one below. With
// u = 2^-24 and S = sum of w * (s * (2 * l + 1) + |x|)^2: errors as ggml computes them are within 9.1 * u * S of the real ones (4 u
// for the difference, 2 u for the products, 3 u for the sum), and 4 * s * (s * a - b) is within 7.1 * u * S of its own. Two of each,
// and twice what lines lose between the ends, differ by less than 48 * u * S from what they should. That holds while nothing
// overflows and S is large against denormal numbers.
#define QUAD_MARGIN 0x1p-18f

// What one level of each element adds to a and to b.
typedef struct {
  vf a[QUAD], b[QUAD];
} quad_slopes;

// Level l of element i is l * 8^i where it lies in a code. So these are for one of it, divided by 64^i and 8^i.
INLINE void quad_slopes_of(const float *x, const float *roots, quad_slopes *slopes) {
  for (int i = 0; i < QUAD; i++) {
    slopes->a[i] = vsplat(roots[i] / (float)(1 << 6 * i));
    slopes->b[i] = vsplat(roots[i] * x[i] / (float)(1 << 3 * i));
  }
}

INLINE void quad_line(const quad_slopes *slopes, vi codes, vf *a, vf *b) {
  *a = *b = (vf){0};
  for (int i = 0; i < QUAD; i++) {
    vf level = vfloat(codes & 7 << 3 * i);
    *a += slopes->a[i] * level * (level + (float)(1 << 3 * i));
    *b += slopes->b[i] * level;
  }
}

// ---- Runs

// Tries from low to high - 1 at a quad in one cell.
typedef struct {
  uint32_t entry; // of the list
  int low, high;
} quad_run;

// The neighbours that are near the best one at two scales, as bits.
typedef struct {
  uint32_t near[2];
} quad_nearest;

INLINE quad_nearest quad_nearest_at(int vectors, const vf *a, const vf *b, float first, float second, float margin) {
  quad_nearest found = {{0, 0}};
  vf errors[LONGEST_LINE_LIST / VEC_LANES];
  for (int end = 0; end < 2; end++) {
    vf scale = vsplat(end == 0 ? first : second), least;
    for (int v = 0; v < vectors; v++) {
      errors[v] = scale * a[v] - b[v];
      least = v == 0 ? errors[v] : vmin(errors[v], least);
    }
    vf limit = vsmallest(least) + margin;
    for (int v = 0; v < vectors; v++) found.near[end] |= vmask_bits(vlt(errors[v], limit)) << v * VEC_LANES;
  }
  return found;
}

// The tries of a run.
INLINE uint32_t quad_run_bits(const quad_run *run) { return (1u << (run->high - 1) << 1) - (1u << run->low); }

INLINE bool is_one_bit(uint32_t bits) { return bits != 0 && (bits & (bits - 1)) == 0; }

// Sets the points of a run, and returns, as bits, the tries that are not sure. vectors is how many of them hold the list.
INLINE uint32_t quad_settle(int vectors, const uint16_t *list, const quad_run *run, const quad_slopes *slopes, const float *scales,
                            float margin, int32_t *points) {
  vf a[LONGEST_LINE_LIST / VEC_LANES], b[LONGEST_LINE_LIST / VEC_LANES];
  for (int v = 0; v < vectors; v++) {
    vi codes = vload_u16((const uint8_t *)(list + v * VEC_LANES));
    quad_line(slopes, codes, &a[v], &b[v]);
  }
  // The last code is repeated where the list is padded.
  const uint32_t last = 1u << (grid_length(run->entry) - 1), listed = last | (last - 1);
  quad_nearest ends = quad_nearest_at(vectors, a, b, scales[run->low], scales[run->high - 1], margin);
  uint32_t first = ends.near[0] & listed, final = ends.near[1] & listed;
  if (first == final && is_one_bit(first)) {
    vi point = vsplat_int(QUAD_NEIGHBOUR + list[__builtin_ctz(first)]);
    uint32_t tries = quad_run_bits(run);
    for (int v = run->low / VEC_LANES; v * VEC_LANES < run->high; v++) {
      vi before = (vi)vload((const float *)(points + v * VEC_LANES));
      vstore((float *)(points + v * VEC_LANES), (vf)vselect_int(vmask_of(tries >> v * VEC_LANES), point, before));
    }
    return 0;
  }
  uint32_t unsure = 0;
  for (int t = run->low; t < run->high; t += 2) {
    int next = t + 1 < run->high ? t + 1 : t;
    quad_nearest two = quad_nearest_at(vectors, a, b, scales[t], scales[next], margin);
    for (int n = 0; n < 2; n++) {
      uint32_t near = two.near[n] & listed;
      int at = n == 0 ? t : next;
      unsure |= (uint32_t)!is_one_bit(near) << at;
      points[at] = QUAD_NEIGHBOUR + list[__builtin_ctz(near | last)];
    }
  }
  return unsure;
}

// The margin for a quad; infinite, so that nothing is settled, where sums might overflow or be denormal.
INLINE float quad_margin(const float *x, const float *roots, float largest_scale, float smallest_scale) {
  float bound = 0;
  for (int i = 0; i < QUAD; i++) {
    float reach = (float)QUAD_LARGEST_VALUE * largest_scale + (x[i] < 0 ? -x[i] : x[i]);
    bound += roots[i] * reach * reach;
  }
  float margin = QUAD_MARGIN / 4 * bound / smallest_scale;
  bool sound = bound > 1e-30f && bound < 1e30f && largest_scale < 1e15f && margin > 1e-20f && margin < 1e30f;
  return sound ? margin : __builtin_inff();
}

// The first of the best neighbours. The reference knows none whose error is FLT_MAX, and stops when there is no other; here it is
// the first one then.
NOINLINE int32_t quad_best_neighbour(const quern_grid *grid, uint32_t entry, const float *x, const float *roots, float scale) {
  const uint16_t *list = grid_list(grid, entry);
  const int vectors = ((int)grid_length(entry) + VEC_LANES - 1) / VEC_LANES;
  vf errors[LONGEST_QUAD_LIST / VEC_LANES], least = vsplat(LARGEST_FLOAT);
  for (int v = 0; v < vectors; v++) {
    vi codes = vload_u16((const uint8_t *)(list + v * VEC_LANES));
    vf error = {0};
    for (int i = 0; i < QUAD; i++) {
      vf difference = scale * vquad_value(codes >> 3 * i) - x[i];
      error += roots[i] * difference * difference;
    }
    errors[v] = vmin(error, vsplat(LARGEST_FLOAT));
    least = vmin(errors[v], least);
  }
  least = vsmallest(least);
  uint64_t best = 0;
  for (int v = 0; v < vectors; v++) best |= (uint64_t)vmask_bits(veq(errors[v], least)) << v * VEC_LANES;
  return QUAD_NEIGHBOUR + list[__builtin_ctzll(best)];
}

// Replaces the cells of a run by their neighbours, and returns, as bits, the tries that are not sure.
INLINE uint32_t quad_judge_run(const quern_grid *grid, const quad_run *run, const quad_slopes *slopes, const float *scales,
                               float margin, int32_t *points) {
  const uint16_t *list = grid_list(grid, run->entry);
  int length = (int)grid_length(run->entry);
  if (length <= VEC_LANES) return quad_settle(1, list, run, slopes, scales, margin, points);
  if (length <= 2 * VEC_LANES) return quad_settle(2, list, run, slopes, scales, margin, points);
  if (length > LONGEST_LINE_LIST) return quad_run_bits(run);
  return quad_settle((length + VEC_LANES - 1) / VEC_LANES, list, run, slopes, scales, margin, points);
}

// Whether an element lies so near to where its level changes that rounding may have taken it over that border. Then contenders are
// too few. Within a run that is so at the first scale or at the last one, if at any.
INLINE bool quad_at_border(const float *x, float first_scale, float last_scale) {
  vf wanted = vload(x), first = wanted / (2 * first_scale), last = wanted / (2 * last_scale);
  return vany(vlt(vabs(first - vround(first)), vsplat(1e-5f)) | vlt(vabs(last - vround(last)), vsplat(1e-5f)));
}

// Replaces cells that are no points by their neighbours. starts: as bits, the tries at which the cell changes. bounded: no level
// wraps around; where one does, a cell says nothing about x. A single try is not worth lines.
INLINE void quad_judge(const quern_grid *grid, int tries, bool bounded, const float *x, const float *roots, const float *scales,
                       uint32_t starts, int32_t *points) {
  if (tries == 1) {
    uint32_t entry = grid->cells[points[0]];
    if (!grid_is_point(entry)) points[0] = quad_best_neighbour(grid, entry, x, roots, scales[0]);
    return;
  }
  const float margin = bounded ? quad_margin(x, roots, scales[0], scales[tries - 1]) : __builtin_inff();
  quad_slopes slopes;
  quad_slopes_of(x, roots, &slopes);
  while (starts != 0) {
    int low = __builtin_ctz(starts), cell = points[low];
    starts &= starts - 1;
    quad_run run = {grid->contenders[cell], low, __builtin_ctz(starts | (uint32_t)1 << tries)};
    if (grid_is_point(run.entry)) continue;
    if (__builtin_expect(quad_at_border(x, scales[low], scales[run.high - 1]), 0)) run.entry = grid->cells[cell];
    uint32_t left = quad_judge_run(grid, &run, &slopes, scales, margin, points);
    for (; left != 0; left &= left - 1) {
      int at = __builtin_ctz(left);
      points[at] = quad_best_neighbour(grid, grid->cells[cell], x, roots, scales[at]);
    }
  }
}

#endif
