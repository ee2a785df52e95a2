// descendColumns: one after another, codes become the nearest to what is best with all others as they are, where that is nearer. A row
// in each lane; most codes stay, so that changes reach columns farther on one by one.
// Numbers: rows, columns, first column, strides of gradients, hessian, weights, values, errors and codes, then those of tile_codes.
// Arrays: gradients (float), hessian (float, from the first column on in both directions), weights, values, errors (float), codes
// (bytes), scales (float), shifts (float), table.
#ifndef QUERN_MATH_DESCEND_H
#define QUERN_MATH_DESCEND_H

#include "math/row-lanes.h"
#include "math/tile-codes.h"

// Columns that see each other's changes at once.
enum { DESCENT = 16 };

// gradient += change * h
INLINE void add_change(float change, const float *restrict h, float *restrict gradient, int64_t count) {
  for (int64_t j = 0; j < count; j++) gradient[j] = gradient[j] + change * h[j];
}

typedef struct {
  const double *numbers;
  tile_codes codes;
  float *gradients, *values, *errors;
  const float *hessian, *weights;
  uint8_t *code_rows;
} descent;

// Some columns of a group of rows; what they change for those after them is left in `changes`.
INLINE void descend_some(int rule, const descent *d, int64_t row, int64_t count, int64_t from, int64_t columns, vf *changes) {
  const double *n = d->numbers;
  int64_t first = (int64_t)n[2], gradient_stride = (int64_t)n[3], hessian_stride = (int64_t)n[4], weight_stride = (int64_t)n[5];
  int64_t value_stride = (int64_t)n[6], error_stride = (int64_t)n[7], code_stride = (int64_t)n[8];
  vf gradients[DESCENT], weights[DESCENT], values[DESCENT];
  vi codes[DESCENT];
  float *value_rows = d->values + row * value_stride + from;
  uint8_t *code_rows = d->code_rows + row * code_stride + from;
  load_row_lanes(d->gradients + row * gradient_stride + from, gradient_stride, count, columns, gradients);
  load_row_lanes(d->weights + row * weight_stride + from, weight_stride, count, columns, weights);
  load_row_lanes(value_rows, value_stride, count, columns, values);
  load_byte_lanes(code_rows, code_stride, count, columns, codes);
  int64_t loaded = -1;
  bool changed = false;
  tile_lanes tile = {0};
  for (int64_t i = 0; i < columns; i++) {
    int64_t column = first + from + i, across = column / d->codes.tile_columns;
    if (across != loaded) tile = tiles_of_rows(rule, &d->codes, row, count, column);
    loaded = across;
    const float *h = d->hessian + (from + i) * hessian_stride + from;
    vf old = values[i], target = old + gradients[i] / vsplat(h[i]);
    coded_lanes coded = encode_lanes(rule, &d->codes, target, tile);
    vi code = integer_code(rule, &d->codes, coded.code);
    vm better = vmask_not(veq_int(code, codes[i])) & vlt(vabs(target - coded.value), vabs(target - old));
    changes[i] = vselect(better, old - coded.value, (vf){0});
    if (!vany(better)) continue;
    changed = true;
    values[i] = vselect(better, coded.value, old);
    codes[i] = vselect_int(better, code, codes[i]);
    for (int64_t j = i + 1; j < columns; j++) {
      gradients[j] = vselect(better, gradients[j] + changes[i] * vsplat(h[j]), gradients[j]);
    }
  }
  if (!changed) return;
  for (int64_t i = 0; i < columns; i++) weights[i] = weights[i] - values[i];
  store_row_lanes(values, value_rows, value_stride, count, columns);
  store_row_lanes(weights, d->errors + row * error_stride + from, error_stride, count, columns);
  store_byte_lanes(codes, code_rows, code_stride, count, columns);
}

INLINE void descend_rows(int rule, const quern_call *call) {
  const double *n = call->numbers;
  void *const *arrays = call->arrays;
  int64_t rows = (int64_t)n[0], columns = (int64_t)n[1], gradient_stride = (int64_t)n[3], hessian_stride = (int64_t)n[4];
  descent d = {n, tile_codes_of(n + 9, arrays[6], arrays[7], arrays[8]), arrays[0], arrays[3], arrays[4], arrays[1], arrays[2],
               arrays[5]};
  for (int64_t row = 0; row < rows; row += VEC_LANES) {
    int64_t count = rows - row < VEC_LANES ? rows - row : VEC_LANES;
    for (int64_t from = 0; from < columns; from += DESCENT) {
      vf changes[DESCENT];
      int64_t some = columns - from < DESCENT ? columns - from : DESCENT, after = from + some;
      descend_some(rule, &d, row, count, from, some, changes);
      for (int64_t i = 0; i < some && after < columns; i++) {
        for (int64_t lane = 0; lane < count; lane++) {
          float change = changes[i][lane];
          if (change == 0) continue;
          add_change(change, d.hessian + (from + i) * hessian_stride + after, d.gradients + (row + lane) * gradient_stride + after,
                     columns - after);
        }
      }
    }
  }
}

static double run_descend(const quern_call *call) {
  FOR_RULE((int)call->numbers[9], descend_rows, call);
  return 0;
}

#endif
