// compensateColumns: rounds columns one after another; what a column gets wrong is added to those that follow. A row in each lane.
// Numbers: rows, columns, strides of targets, weights, errors, factors, codes and values, then those of tile_codes.
// Arrays: targets (float), weights (float), errors (float), factors (float), codes (bytes), values (float), the column of each place
// (int32), scales (float), shifts (float), table. Codes, values or both are written.
#ifndef QUERN_MATH_COMPENSATE_H
#define QUERN_MATH_COMPENSATE_H

#include "math/row-lanes.h"
#include "math/tile-codes.h"

static int64_t scratch_of_compensate(const double *numbers) {
  return 3 * (int64_t)numbers[1] * (int64_t)sizeof(vf);
}

// target += error * factor for the columns that follow.
INLINE void spread_error(vf error, const float *factors, vf *targets, int64_t from, int64_t to) {
  for (int64_t j = from; j < to; j++) targets[j] = targets[j] + error * vsplat(factors[j]);
}

INLINE void compensate_rows(int rule, const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], columns = (int64_t)n[1], target_stride = (int64_t)n[2], weight_stride = (int64_t)n[3];
  int64_t error_stride = (int64_t)n[4], factor_stride = (int64_t)n[5], code_stride = (int64_t)n[6], value_stride = (int64_t)n[7];
  const float *factors = call->arrays[3];
  const int32_t *order = call->arrays[6];
  tile_codes codes = tile_codes_of(n + 8, call->arrays[7], call->arrays[8], call->arrays[9]);
  vf *targets = (vf *)call->scratch, *weights = targets + columns, *values = weights + columns;
  for (int64_t row = 0; row < rows; row += VEC_LANES) {
    int64_t count = rows - row < VEC_LANES ? rows - row : VEC_LANES, loaded = -1;
    load_row_lanes((float *)call->arrays[0] + row * target_stride, target_stride, count, columns, targets);
    load_row_lanes((float *)call->arrays[1] + row * weight_stride, weight_stride, count, columns, weights);
    tile_lanes tile = {0};
    for (int64_t place = 0; place < columns; place++) {
      int64_t across = order[place] / codes.tile_columns;
      if (across != loaded) tile = tiles_of_rows(rule, &codes, row, count, order[place]);
      loaded = across;
      coded_lanes coded = encode_lanes(rule, &codes, targets[place], tile);
      vf error = weights[place] - coded.value;
      spread_error(error, factors + place * factor_stride, targets, place + 1, columns);
      targets[place] = error;
      // Weights are of no use any more.
      if (rule != UNROUNDED) weights[place] = (vf)integer_code(rule, &codes, coded.code);
      values[place] = coded.value;
    }
    store_row_lanes(targets, (float *)call->arrays[2] + row * error_stride, error_stride, count, columns);
    uint8_t *code_rows = call->arrays[4];
    if (code_rows) store_byte_lanes((const vi *)weights, code_rows + row * code_stride, code_stride, count, columns);
    float *value_rows = call->arrays[5];
    if (value_rows) store_row_lanes(values, value_rows + row * value_stride, value_stride, count, columns);
  }
}

static double run_compensate(const quern_call *call) {
  int rule = (int)call->numbers[8];
  if (rule == UNROUNDED) compensate_rows(UNROUNDED, call);
  else FOR_RULE(rule, compensate_rows, call);
  return 0;
}

#endif
