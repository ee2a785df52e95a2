// Rows of any source type to blocks: conversion, the search for non-finite weights and quantization go over a chunk while it is
// in the cache.
#ifndef QUERN_DRIVER_H
#define QUERN_DRIVER_H

#include "half.h"
#include "kernel.h"

// Adding 2^23 to the magnitude's bits carries into the sign bit if and only if the exponent is all ones.
static int64_t find_non_finite(const float *values, int64_t count) {
  vi carry = {0};
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) carry |= ((vi)vload(values + i) & 0x7fffffff) + 0x00800000;
  bool finite = !vany(vlt_int(carry, (vi){0}));
  for (; i < count; i++) finite &= (float_bits(values[i]) & 0x7f800000u) != 0x7f800000u;
  if (finite) return -1;
  int64_t first = 0;
  while ((float_bits(values[first]) & 0x7f800000u) != 0x7f800000u) first++;
  return first;
}

static int64_t quantize_rows(const quern_type *type, const quern_source_type *source_type, const uint8_t *source, uint8_t *target,
                             int64_t rows, int64_t columns, const float *importance, float *scratch) {
  if (rows == 0 || columns == 0) return -1;
  int64_t row_size = columns / type->block_size * type->type_size;
  int64_t chunk_rows = columns < QUERN_CHUNK ? QUERN_CHUNK / columns : 1;
  bool in_place = source_type->is_float && (uintptr_t)source % sizeof(float) == 0;

  for (int64_t row = 0; row < rows; row += chunk_rows) {
    int64_t count = rows - row < chunk_rows ? rows - row : chunk_rows;
    const uint8_t *chunk = source + row * columns * source_type->size;
    const float *values = scratch;
    if (in_place) {
      values = (const float *)chunk;
    } else {
      source_type->convert(chunk, scratch, count * columns);
    }
    int64_t bad = find_non_finite(values, count * columns);
    if (bad >= 0) return row * columns + bad;
    type->quantize(values, target + row * row_size, count, columns, importance);
  }
  return -1;
}

#endif
