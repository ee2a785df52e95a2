// The search for a scale and for levels 0, 1 and 2 that fit a block of weights best, where levels may stand for one of several sets
// of values ("shifts"): quantize_row_iq1_s_impl and quantize_row_iq1_m_impl of ggml-quants.c (llama.cpp v0.5.0).
//
// Sorted, the weights fall into those of level 0, then those of level 1, then those of level 2. All such splits are tried: with
// prefix sums, each takes a few operations.
#ifndef QUERN_SEARCH_TERNARY_SPLIT_H
#define QUERN_SEARCH_TERNARY_SPLIT_H

#include "search/lanes.h"

// ---- Sorting

// Positions of the elements of each block in ascending order, equal ones in their order: ggml sorts with qsort, which merges.
INLINE void sorting_ranks(const vf *x, int count, vi *ranks) {
  for (int i = 0; i < count; i++) ranks[i] = vsplat_int(i);
  for (int i = 0; i < count; i++) {
    vf value = x[i];
    vi rank = ranks[i];
    for (int j = i + 1; j < count; j++) {
      vi before = vone_where(vlt(x[j], value));
      rank += before;
      ranks[j] -= before;
    }
    ranks[i] = rank;
  }
}

// Sums of the first 0, 1, ... count of the sorted elements.
INLINE void ranked_prefix_sums(const vf *elements, const vi *ranks, int count, vf *sums) {
  sums[0] = vsplat(0);
  for (int i = 0; i < count; i++) {
    for (int lane = 0; lane < VEC_LANES; lane++) sums[1 + ranks[i][lane]][lane] = elements[i][lane];
  }
  for (int i = 1; i <= count; i++) sums[i] += sums[i - 1];
}

// ---- Splits

// The best split of the block in each lane: the scale, which may be negative, and how many sorted weights are of level 0, of level 0
// or 1, and which groups of eight shift down, lowest bit first. The choice is -1 where no split has a scale.
typedef struct {
  vf scale;
  vi choice;
} ternary_split;

typedef void ternary_split_function(const vf *x, const vf *weights, const vi *ranks, ternary_split *split);

enum { MOST_SHIFTS = 4 };

// The sums of weight * x * value and of weight * value^2 for one split with each choice of shifts.
typedef struct {
  vf x[MOST_SHIFTS], squares[MOST_SHIFTS];
} split_sums;
typedef void split_sum_function(const void *tables, int first, int second, split_sums *sums);

// A score that the best split surely exceeds, or the lowest number: the best score of a few splits, less 1/256. ggml's search ends
// with the same split whether it starts from this or from nothing. For rounding makes scores and their comparisons wrong by less
// than 20 * 2^-24; of the 3000 bands of that width between this score and the best one, there are some that no split's score is
// in, since there are fewer splits; and the first split above such a band replaces whatever was the best before. All that, as long
// as numbers are far from the limits of float32.
INLINE vf score_to_exceed(int length, int shifts, split_sum_function *sum, const void *tables, vf total_weight) {
  vf x_squared = {0}, squares = {0};
  for (int first = 3; first < length / 2; first += 4) {
    for (int second = length - 3; second > length / 2; second -= 4) {
      split_sums sums;
      sum(tables, first, second, &sums);
      for (int k = 0; k < shifts; k++) {
        vf square = sums.x[k] * sums.x[k];
        vm better = vgt(square * squares, x_squared * sums.squares[k]) | veq(squares, vsplat(0));
        x_squared = vselect(better, square, x_squared);
        squares = vselect(better, sums.squares[k], squares);
      }
    }
  }
  vf score = x_squared / squares * (1 - 0x1p-8f), product = score * total_weight;
  vm usable = vgt(score, vsplat(0x1p-100f)) & vlt(score, vsplat(0x1p60f));
  usable &= vgt(product, vsplat(0x1p-80f)) & vlt(product, vsplat(0x1p120f));
  return vselect(usable, score, vsplat(-LARGEST_FLOAT));
}

// Goes through all splits in ggml's order. shift_bits are what the choices of shifts stand for, total_weight is the sum of weights.
INLINE void find_ternary_split(int length, int shifts, const int *shift_bits, split_sum_function *sum, const void *tables,
                           vf total_weight, ternary_split *split) {
  vf best = score_to_exceed(length, shifts, sum, tables, total_weight), zero = {0};
  *split = (ternary_split){{0}, vsplat_int(-1)};
  for (int first = 0; first <= length; first++) {
    for (int second = first; second <= length; second++) {
      split_sums sums;
      sum(tables, first, second, &sums);
      vm better = vgt(sums.x[0] * sums.x[0], best * sums.squares[0]);
      for (int k = 1; k < shifts; k++) better |= vgt(sums.x[k] * sums.x[k], best * sums.squares[k]);
      if (__builtin_expect(!vany(better), 1)) continue;
      for (int k = 0; k < shifts; k++) {
        better = vgt(sums.squares[k], zero) & vgt(sums.x[k] * sums.x[k], best * sums.squares[k]);
        vf scale = sums.x[k] / sums.squares[k];
        best = vselect(better, scale * sums.x[k], best);
        split->scale = vselect(better, scale, split->scale);
        split->choice = vselect_int(better, vsplat_int(first | second << 8 | shift_bits[k] << 16), split->choice);
      }
    }
  }
}

#endif
