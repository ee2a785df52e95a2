// What quantization did to rows of weights, as figures of each row: the order of their sums is the same on every instruction set.
#ifndef QUERN_MEASURE_H
#define QUERN_MEASURE_H

#include "ends.h"
#include "kernel.h"
#include "vec.h"

// Squares are added up in single precision over MEASURE_CHUNK elements at most, element i to sum i % SUMS, and these sums, in order, in
// double precision: 64 additions of positive numbers lose less than 64 * 2^-24 of their sum.
enum { SUMS = 16, SUM_VECTORS = SUMS / VEC_LANES };
// A multiple of SUMS and of every block size, and the bytes that it takes in the widest type of blocks.
enum { MEASURE_CHUNK = 1024, MEASURE_BLOCKS = MEASURE_CHUNK / 32 * 34 };

typedef struct {
  double weights, errors, weighted_weights, weighted_errors;
} square_sums;

typedef struct {
  square_sums squares;
  float largest;
  group_counts groups;
} row_sums;

INLINE double add_lanes(const vf *lanes) {
  double total = 0;
  for (int i = 0; i < SUMS; i++) total += lanes[i / VEC_LANES][i % VEC_LANES];
  return total;
}

// In single precision; the last of the elements, which fill no vector, as though zeros came behind them.
INLINE square_sums add_squares(const float *weights, const float *restored, const float *importance, int64_t count, float *largest) {
  vf weight_sums[SUM_VECTORS] = {0}, error_sums[SUM_VECTORS] = {0};
  vf weighted_weight_sums[SUM_VECTORS] = {0}, weighted_error_sums[SUM_VECTORS] = {0};
  vf largest_errors[SUM_VECTORS] = {0};
  for (int64_t done = 0; done < count; done += SUMS) {
    for (int i = 0; i < SUM_VECTORS; i++) {
      int64_t at = done + i * VEC_LANES;
      vf weight = vload(weights + at), error = weight - vload(restored + at);
      vf squared_weight = weight * weight, squared_error = error * error;
      weight_sums[i] += squared_weight;
      error_sums[i] += squared_error;
      largest_errors[i] = vmax(vabs(error), largest_errors[i]);
      if (!importance) continue;
      vf factor = vload(importance + at);
      weighted_weight_sums[i] += factor * squared_weight;
      weighted_error_sums[i] += factor * squared_error;
    }
  }
  for (int i = 0; i < SUMS; i++) {
    float error = largest_errors[i / VEC_LANES][i % VEC_LANES];
    *largest = error > *largest ? error : *largest;
  }
  return (square_sums){add_lanes(weight_sums), add_lanes(error_sums), add_lanes(weighted_weight_sums), add_lanes(weighted_error_sums)};
}

INLINE square_sums add_squares_in_double(const float *weights, const float *restored, const float *importance, int64_t count) {
  square_sums sums = {0};
  for (int64_t i = 0; i < count; i++) {
    double weight = weights[i], error = weight - restored[i], factor = importance ? importance[i] : 0;
    sums.weights += weight * weight;
    sums.errors += error * error;
    sums.weighted_weights += factor * (weight * weight);
    sums.weighted_errors += factor * (error * error);
  }
  return sums;
}

// Whether no square that matters was too large or too small for single precision.
INLINE bool is_plain(double sum) { return sum > 1e-22 && sum < 1e36; }

INLINE bool are_plain(const square_sums *sums, const float *importance, float largest_error) {
  if (!is_plain(sums->weights) || (importance && !is_plain(sums->weighted_weights))) return false;
  if (largest_error == 0) return true;
  return is_plain(sums->errors) && (!importance || is_plain(sums->weighted_errors));
}

// `importance` has zeros behind its end, up to a multiple of SUMS.
INLINE void measure_chunk(const quern_type *type, const quern_type *source_type, const uint8_t *source, const uint8_t *quantized,
                          const float *importance, int64_t count, row_sums *sums) {
  float weights[MEASURE_CHUNK], restored[MEASURE_CHUNK];
  source_type->dequantize(source, weights, count / source_type->block_size);
  type->dequantize(quantized, restored, count / type->block_size);
  for (int64_t i = count; i % SUMS != 0; i++) weights[i] = restored[i] = 0;
  float largest = 0;
  square_sums squares = importance ? add_squares(weights, restored, importance, count, &largest)
                                   : add_squares(weights, restored, NULL, count, &largest);
  if (!are_plain(&squares, importance, largest)) squares = add_squares_in_double(weights, restored, importance, count);
  sums->squares.weights += squares.weights;
  sums->squares.errors += squares.errors;
  sums->squares.weighted_weights += squares.weighted_weights;
  sums->squares.weighted_errors += squares.weighted_errors;
  sums->largest = largest > sums->largest ? largest : sums->largest;
  if (type->ends.group == 0) return;
  uint8_t shown_blocks[MEASURE_BLOCKS];
  float shown[MEASURE_CHUNK];
  show_ends(type, quantized, count / type->block_size, shown_blocks);
  type->dequantize(shown_blocks, shown, count / type->block_size);
  count_groups(&type->ends, weights, restored, shown, count, &sums->groups);
}

INLINE quern_row_error measure_row(const quern_type *type, const quern_type *source_type, const uint8_t *source,
                                   const uint8_t *quantized, int64_t columns, const float *importance) {
  row_sums sums = {0};
  for (int64_t done = 0; done < columns; done += MEASURE_CHUNK) {
    int64_t count = columns - done < MEASURE_CHUNK ? columns - done : MEASURE_CHUNK;
    float last[MEASURE_CHUNK];
    const float *factors = importance ? importance + done : NULL;
    if (importance && count % SUMS != 0) {
      for (int64_t i = 0; i < count; i++) last[i] = factors[i];
      for (int64_t i = count; i % SUMS != 0; i++) last[i] = 0;
      factors = last;
    }
    measure_chunk(type, source_type, source + done / source_type->block_size * source_type->type_size,
                  quantized + done / type->block_size * type->type_size, factors, count, &sums);
  }
  return (quern_row_error){
      .squared_weights = sums.squares.weights,
      .squared_errors = sums.squares.errors,
      .weighted_weights = sums.squares.weighted_weights,
      .weighted_errors = sums.squares.weighted_errors,
      .largest_error = sums.largest,
      .clipped = (double)sums.groups.clipped,
      .vanished = (double)sums.groups.vanished,
      .groups = (double)sums.groups.groups,
  };
}

static void measure_rows(const quern_type *type, const quern_type *source_type, const uint8_t *source, const uint8_t *quantized,
                         int64_t rows, int64_t columns, const float *importance, quern_row_error *target) {
  int64_t source_row = columns / source_type->block_size * source_type->type_size;
  int64_t quantized_row = columns / type->block_size * type->type_size;
  for (int64_t row = 0; row < rows; row++) {
    target[row] =
        measure_row(type, source_type, source + row * source_row, quantized + row * quantized_row, columns, importance);
  }
}

#endif
