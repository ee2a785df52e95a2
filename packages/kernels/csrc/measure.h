// What quantization did to rows of weights, as figures of each row: the order of their sums is the same on every instruction set.
#ifndef QUERN_MEASURE_H
#define QUERN_MEASURE_H

#include "ends.h"
#include "kernel.h"
#include "vec.h"

// Element i of a row is added to sum i % SUMS, and the sums are added in order at the end of the row.
enum { SUMS = 8, SUM_LANES = VEC_LANES / 2, SUM_VECTORS = SUMS / SUM_LANES };
// A multiple of SUMS and of every block size, and the bytes that it takes in the widest type of blocks.
enum { ROWS_TOGETHER = 2, MEASURE_CHUNK = 1024, MEASURE_BLOCKS = MEASURE_CHUNK / 32 * 34 };

typedef double vsums __attribute__((vector_size(8 * SUM_LANES)));
typedef float vaddends __attribute__((vector_size(4 * SUM_LANES), aligned(1), may_alias));

typedef struct {
  vsums weights[SUM_VECTORS], errors[SUM_VECTORS];
  vsums weighted_weights[SUM_VECTORS], weighted_errors[SUM_VECTORS];
  float largest;
  group_counts groups;
} row_sums;

INLINE vsums load_doubles(const float *source) { return __builtin_convertvector(*(const vaddends *)source, vsums); }

// The next elements of rows side by side, each array MEASURE_CHUNK for each row. The first one is added to the first sum. A row's sums
// are chains of additions, each of which waits for the one before: two rows together take hardly longer than one.
INLINE void add_squares(const int rows, const float *weights, const float *restored, const float *importance, int64_t count,
                        row_sums *sums) {
  row_sums total[ROWS_TOGETHER];
  for (int row = 0; row < rows; row++) total[row] = sums[row];
  int64_t done = 0;
  for (; done + SUMS <= count; done += SUMS) {
    for (int i = 0; i < SUM_VECTORS; i++) {
      int64_t at = done + i * SUM_LANES;
      vsums factor = importance ? load_doubles(importance + at) : (vsums){0};
      for (int row = 0; row < rows; row++) {
        vsums weight = load_doubles(weights + row * MEASURE_CHUNK + at);
        vsums error = weight - load_doubles(restored + row * MEASURE_CHUNK + at);
        vsums squared_weight = weight * weight, squared_error = error * error;
        total[row].weights[i] += squared_weight;
        total[row].errors[i] += squared_error;
        if (!importance) continue;
        total[row].weighted_weights[i] += factor * squared_weight;
        total[row].weighted_errors[i] += factor * squared_error;
      }
    }
  }
  for (int row = 0; row < rows; row++) {
    sums[row] = total[row];
    for (int64_t at = done; at < count; at++) {
      double weight = weights[row * MEASURE_CHUNK + at], error = weight - restored[row * MEASURE_CHUNK + at];
      int vector = (int)(at - done) / SUM_LANES, lane = (int)(at - done) % SUM_LANES;
      sums[row].weights[vector][lane] += weight * weight;
      sums[row].errors[vector][lane] += error * error;
      if (!importance) continue;
      sums[row].weighted_weights[vector][lane] += importance[at] * (weight * weight);
      sums[row].weighted_errors[vector][lane] += importance[at] * (error * error);
    }
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

INLINE void measure_together(const int rows, const quern_type *type, const quern_type *source_type, const uint8_t *source,
                             const uint8_t *quantized, int64_t columns, const float *importance, quern_row_error *target) {
  row_sums sums[ROWS_TOGETHER] = {0};
  for (int64_t done = 0; done < columns; done += MEASURE_CHUNK) {
    float weights[ROWS_TOGETHER * MEASURE_CHUNK], restored[ROWS_TOGETHER * MEASURE_CHUNK];
    int64_t count = columns - done < MEASURE_CHUNK ? columns - done : MEASURE_CHUNK;
    for (int row = 0; row < rows; row++) {
      float *row_weights = weights + row * MEASURE_CHUNK, *row_restored = restored + row * MEASURE_CHUNK;
      int64_t at = row * columns + done;
      const uint8_t *blocks = quantized + at / type->block_size * type->type_size;
      source_type->dequantize(source + at / source_type->block_size * source_type->type_size, row_weights,
                              count / source_type->block_size);
      type->dequantize(blocks, row_restored, count / type->block_size);
      float largest = largest_difference(row_weights, row_restored, count);
      sums[row].largest = largest > sums[row].largest ? largest : sums[row].largest;
      if (type->ends.group == 0) continue;
      uint8_t shown_blocks[MEASURE_BLOCKS];
      float shown[MEASURE_CHUNK];
      show_ends(type, blocks, count / type->block_size, shown_blocks);
      type->dequantize(shown_blocks, shown, count / type->block_size);
      count_groups(&type->ends, row_weights, row_restored, shown, count, &sums[row].groups);
    }
    if (importance) add_squares(rows, weights, restored, importance + done, count, sums);
    else add_squares(rows, weights, restored, NULL, count, sums);
  }
  for (int row = 0; row < rows; row++) {
    target[row] = (quern_row_error){
        .squared_weights = add_sums(sums[row].weights),
        .squared_errors = add_sums(sums[row].errors),
        .weighted_weights = add_sums(sums[row].weighted_weights),
        .weighted_errors = add_sums(sums[row].weighted_errors),
        .largest_error = sums[row].largest,
        .clipped = (double)sums[row].groups.clipped,
        .vanished = (double)sums[row].groups.vanished,
        .groups = (double)sums[row].groups.groups,
    };
  }
}

static void measure_rows(const quern_type *type, const quern_type *source_type, const uint8_t *source, const uint8_t *quantized,
                         int64_t rows, int64_t columns, const float *importance, quern_row_error *target) {
  int64_t source_row = columns / source_type->block_size * source_type->type_size;
  int64_t quantized_row = columns / type->block_size * type->type_size;
  int64_t row = 0;
  for (; row + ROWS_TOGETHER <= rows; row += ROWS_TOGETHER) {
    measure_together(ROWS_TOGETHER, type, source_type, source + row * source_row, quantized + row * quantized_row, columns, importance,
                     target + row);
  }
  for (; row < rows; row++) {
    measure_together(1, type, source_type, source + row * source_row, quantized + row * quantized_row, columns, importance,
                     target + row);
  }
}

#endif
