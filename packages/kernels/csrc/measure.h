// What quantization did to rows of weights, as figures of each row: the order of their sums is the same on every instruction set.
#ifndef QUERN_MEASURE_H
#define QUERN_MEASURE_H

#include "ends.h"
#include "kernel.h"
#include "vec.h"

// Element i of a row is added to sum i % SUMS, and the sums are added in order at the end of the row.
enum { SUMS = 8, SUM_LANES = VEC_LANES / 2, SUM_VECTORS = SUMS / SUM_LANES };
// A multiple of SUMS and of every block size, and the bytes that it takes in the widest type of blocks.
enum { MEASURE_CHUNK = 1024, MEASURE_BLOCKS = MEASURE_CHUNK / 32 * 34 };

typedef double vsums __attribute__((vector_size(8 * SUM_LANES)));
typedef float vaddends __attribute__((vector_size(4 * SUM_LANES), aligned(1), may_alias));

typedef struct {
  vsums weights[SUM_VECTORS], errors[SUM_VECTORS];
  vsums weighted_weights[SUM_VECTORS], weighted_errors[SUM_VECTORS];
  float largest;
  group_counts groups;
} row_sums;

INLINE vsums load_doubles(const float *source) { return __builtin_convertvector(*(const vaddends *)source, vsums); }

// Begins with an element that is added to the first sum.
INLINE void add_squares(const float *weights, const float *restored, const float *importance, int64_t count, row_sums *sums) {
  row_sums total = *sums;
  int64_t done = 0;
  for (; done + SUMS <= count; done += SUMS) {
    for (int i = 0; i < SUM_VECTORS; i++) {
      vsums weight = load_doubles(weights + done + i * SUM_LANES);
      vsums error = weight - load_doubles(restored + done + i * SUM_LANES);
      vsums squared_weight = weight * weight, squared_error = error * error;
      total.weights[i] += squared_weight;
      total.errors[i] += squared_error;
      if (!importance) continue;
      vsums factor = load_doubles(importance + done + i * SUM_LANES);
      total.weighted_weights[i] += factor * squared_weight;
      total.weighted_errors[i] += factor * squared_error;
    }
  }
  *sums = total;
  for (int i = 0; done + i < count; i++) {
    double weight = weights[done + i], error = weight - restored[done + i];
    int vector = i / SUM_LANES, lane = i % SUM_LANES;
    sums->weights[vector][lane] += weight * weight;
    sums->errors[vector][lane] += error * error;
    if (!importance) continue;
    sums->weighted_weights[vector][lane] += importance[done + i] * (weight * weight);
    sums->weighted_errors[vector][lane] += importance[done + i] * (error * error);
  }
}

INLINE float largest_difference(const float *weights, const float *restored, int64_t count) {
  vf largest = {0};
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) largest = vmax(vabs(vload(weights + i) - vload(restored + i)), largest);
  float result = 0;
  for (int lane = 0; lane < VEC_LANES; lane++) result = largest[lane] > result ? largest[lane] : result;
  for (; i < count; i++) {
    float difference = __builtin_fabsf(weights[i] - restored[i]);
    result = difference > result ? difference : result;
  }
  return result;
}

INLINE double add_sums(const vsums *sums) {
  double total = 0;
  for (int i = 0; i < SUMS; i++) total += sums[i / SUM_LANES][i % SUM_LANES];
  return total;
}

static void measure_rows(const quern_type *type, const quern_type *source_type, const uint8_t *source, const uint8_t *quantized,
                         int64_t rows, int64_t columns, const float *importance, quern_row_error *target) {
  for (int64_t row = 0; row < rows; row++) {
    row_sums sums = {0};
    for (int64_t done = 0; done < columns; done += MEASURE_CHUNK) {
      float weights[MEASURE_CHUNK], restored[MEASURE_CHUNK];
      int64_t at = row * columns + done, count = columns - done < MEASURE_CHUNK ? columns - done : MEASURE_CHUNK;
      const uint8_t *blocks = quantized + at / type->block_size * type->type_size;
      source_type->dequantize(source + at / source_type->block_size * source_type->type_size, weights,
                              count / source_type->block_size);
      type->dequantize(blocks, restored, count / type->block_size);
      if (importance) add_squares(weights, restored, importance + done, count, &sums);
      else add_squares(weights, restored, NULL, count, &sums);
      float largest = largest_difference(weights, restored, count);
      sums.largest = largest > sums.largest ? largest : sums.largest;
      if (type->ends.group == 0) continue;
      uint8_t shown_blocks[MEASURE_BLOCKS];
      float shown[MEASURE_CHUNK];
      show_ends(type, blocks, count / type->block_size, shown_blocks);
      type->dequantize(shown_blocks, shown, count / type->block_size);
      count_groups(&type->ends, weights, restored, shown, count, &sums.groups);
    }
    target[row] = (quern_row_error){
        .squared_weights = add_sums(sums.weights),
        .squared_errors = add_sums(sums.errors),
        .weighted_weights = add_sums(sums.weighted_weights),
        .weighted_errors = add_sums(sums.weighted_errors),
        .largest_error = sums.largest,
        .clipped = (double)sums.groups.clipped,
        .vanished = (double)sums.groups.vanished,
        .groups = (double)sums.groups.groups,
    };
  }
}

#endif
