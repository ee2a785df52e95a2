// searchScales: of each row of a tile, scales and shifts near the present ones, together with the codes that they give when what a column
// gets wrong is made up for by those after it, as long as the error in H falls. A row in each lane.
//
// H is given as LDLQ's factors F and weights D of places, H = (I + F) D (I + F)^T, columns by place in an order of their own. A row has so
// many choices of scales and of shifts, from which it starts in the middle.
// Numbers: rows, columns, strides of gradients, values and codes, choices, parameters (1: scales alone), attempts, then those of tile_codes.
// Arrays: gradients (float: of errors * H), values (float), column at each place (int32), factors (float, by place), weights (float, by
// place), codes (bytes: changed where something better is found), places (bytes: scale and shift that are chosen, by row), scales
// (float, rows x choices), shifts (the same), table.
#ifndef QUERN_MATH_SEARCH_SCALES_H
#define QUERN_MATH_SEARCH_SCALES_H

#include "math/compensate.h"
#include "math/row-lanes.h"
#include "math/tile-codes.h"

typedef struct {
  int64_t width;
  const int32_t *order;
  const float *factors, *weights;
} local_form;

static int64_t scratch_of_search_scales(const double *numbers) {
  return 6 * (int64_t)numbers[1] * (int64_t)sizeof(vf);
}

// Solves x H = g in place, by place.
INLINE void solve_local(const local_form *form, vf *g) {
  const int64_t n = form->width;
  for (int64_t k = n - 1; k > 0; k--) {
    for (int64_t p = 0; p < k; p++) g[p] = g[p] - vsplat(form->factors[p * n + k]) * g[k];
  }
  for (int64_t p = 0; p < n; p++) g[p] = g[p] / vsplat(form->weights[p]);
  for (int64_t k = 0; k < n; k++) {
    for (int64_t p = k + 1; p < n; p++) g[p] = g[p] - vsplat(form->factors[k * n + p]) * g[k];
  }
}

// What is searched in.
typedef struct {
  local_form form;
  tile_codes codes;
  const vf *targets; // by place: what would be best if all values were possible
  vf *moved;         // the same with what the errors of places before add
} scale_search;

// Adds the error of a place, and lets it reach those after it.
INLINE vf add_place(const scale_search *s, int64_t place, vf value, vf sum) {
  vf miss = s->moved[place] - value;
  spread_error(s->targets[place] - value, s->form.factors + place * s->form.width, s->moved, place + 1, s->form.width);
  return sum + miss * miss * vsplat(s->form.weights[place]);
}

INLINE void start_search(const scale_search *s) {
  for (int64_t p = 0; p < s->form.width; p++) s->moved[p] = s->targets[p];
}

// Codes with a scale and a shift, and their error. Stops when no lane that counts has less than `least`.
INLINE vf try_scale(int rule, const scale_search *s, tile_lanes tile, vm counts, vf least, vf *tried) {
  vf sum = {0};
  start_search(s);
  for (int64_t p = 0; p < s->form.width; p++) {
    coded_lanes coded = encode_lanes(rule, &s->codes, s->moved[p], tile);
    tried[p] = coded.code;
    sum = add_place(s, p, coded.value, sum);
    if (!vany(vlt(sum, least) & counts)) break;
  }
  return sum;
}

INLINE vi clamp_place(vi place, int32_t choices) {
  vi low = vmax_int(place, vsplat_int(0)), most = vsplat_int(choices - 1);
  return vselect_int(vlt_int(low, most), low, most);
}

INLINE void search_scale_rows(int rule, const quern_call *call) {
  const double *n = call->numbers;
  void *const *arrays = call->arrays;
  int64_t rows = (int64_t)n[0], width = (int64_t)n[1], gradient_stride = (int64_t)n[2], value_stride = (int64_t)n[3];
  int64_t code_stride = (int64_t)n[4], choices = (int64_t)n[5];
  const int32_t *order = arrays[2];
  const float *scales = arrays[7], *shifts = arrays[8];
  vf *targets = (vf *)call->scratch, *moved = targets + width, *tried = moved + width, *best = tried + width;
  vf *loaded = best + width;
  vi *codes = (vi *)(loaded + width);
  scale_search s = {{width, order, arrays[3], arrays[4]}, tile_codes_of(n + 8, scales, shifts, arrays[9]), targets, moved};
  const int32_t directions = n[6] == 1 ? 2 : 8;
  for (int64_t row = 0; row < rows; row += VEC_LANES) {
    int64_t count = rows - row < VEC_LANES ? rows - row : VEC_LANES;
    load_row_lanes((float *)arrays[0] + row * gradient_stride, gradient_stride, count, width, loaded);
    for (int64_t p = 0; p < width; p++) targets[p] = loaded[order[p]];
    solve_local(&s.form, targets);
    load_row_lanes((float *)arrays[1] + row * value_stride, value_stride, count, width, loaded);
    for (int64_t p = 0; p < width; p++) targets[p] = targets[p] + loaded[order[p]];

    vf least = {0};
    start_search(&s);
    for (int64_t p = 0; p < width; p++) least = add_place(&s, p, loaded[order[p]], least);
    vi lane = vsequence(0), last = vsplat_int((int32_t)count - 1);
    vi first = vselect_int(vlt_int(lane, last), lane, last) * (int32_t)choices;
    vi middle = vsplat_int((int32_t)choices / 2), place_of_scale = middle, place_of_shift = middle, failures = {0}, found = {0};
    // The first attempt leaves scales as they are.
    for (int attempt = -1; attempt < (int)n[7]; attempt++) {
      vm counts = vlt_int(failures, vsplat_int(directions));
      if (!vany(counts)) break;
      vi scale_place = place_of_scale, shift_place = place_of_shift;
      if (attempt >= 0) {
        // A step up or down of the scale, the shift, or both, alike or against each other.
        int direction = attempt % directions, kind = direction >> 1, step = direction % 2 == 0 ? 1 : -1;
        if (kind != 1) scale_place = clamp_place(scale_place + step, (int32_t)choices);
        if (kind != 0) shift_place = clamp_place(shift_place + (kind == 3 ? -step : step), (int32_t)choices);
      }
      vf shift = has_shift(rule) ? vgather(shifts + row * choices, first + shift_place) : (vf){0};
      tile_lanes tile = lanes_of_tile(rule, vgather(scales + row * choices, first + scale_place), shift);
      vf error = try_scale(rule, &s, tile, counts, least, tried);
      vm better = vlt(error, least) & counts;
      if (attempt >= 0) failures = vselect_int(better, vsplat_int(0), failures + 1);
      if (!vany(better)) continue;
      least = vselect(better, error, least);
      found = vselect_int(better, vsplat_int(1), found);
      place_of_scale = vselect_int(better, scale_place, place_of_scale);
      place_of_shift = vselect_int(better, shift_place, place_of_shift);
      for (int64_t p = 0; p < width; p++) best[p] = vselect(better, tried[p], best[p]);
    }

    vm changed = veq_int(found, vsplat_int(1));
    uint8_t *places = (uint8_t *)arrays[6] + 2 * row;
    for (int64_t i = 0; i < count; i++) {
      places[2 * i] = (uint8_t)place_of_scale[i];
      places[2 * i + 1] = (uint8_t)place_of_shift[i];
    }
    if (!vany(changed)) continue;
    uint8_t *code_rows = (uint8_t *)arrays[5] + row * code_stride;
    load_byte_lanes(code_rows, code_stride, count, width, codes);
    for (int64_t p = 0; p < width; p++) {
      // Ranks of lanes without a result mean nothing.
      vi code = integer_code(rule, &s.codes, vselect(changed, best[p], (vf){0}));
      codes[order[p]] = vselect_int(changed, code, codes[order[p]]);
    }
    store_byte_lanes(codes, code_rows, code_stride, count, width);
  }
}

static double run_search_scales(const quern_call *call) {
  FOR_RULE((int)call->numbers[8], search_scale_rows, call);
  return 0;
}

#endif
