// Rows of any type to blocks: conversion, the search for non-finite weights, quantization and the search for blocks that
// overflowed go over a chunk while it is in the cache.
#ifndef QUERN_DRIVER_H
#define QUERN_DRIVER_H

#include <stddef.h>

#include "half.h"
#include "kernel.h"

// Adding 2^23 to the magnitude's bits carries into the sign bit if and only if the exponent is all ones.
static int64_t find_non_finite(const float *values, int64_t count) {
  vi carry = {0};
  int64_t i = 0;
#pragma GCC unroll 4
  for (; i + VEC_LANES <= count; i += VEC_LANES) carry |= ((vi)vload(values + i) & 0x7fffffff) + 0x00800000;
  bool finite = !vany(vlt_int(carry, (vi){0}));
  for (; i < count; i++) finite &= (float_bits(values[i]) & 0x7f800000u) != 0x7f800000u;
  if (finite) return -1;
  int64_t first = 0;
  while ((float_bits(values[first]) & 0x7f800000u) != 0x7f800000u) first++;
  return first;
}

// Adding the lowest bit of the exponent to it carries into the bit above, the sign bit of 16-bit floats, if and only if the
// exponent is all ones.
INLINE uint32_t half_carry(uint16_t exponent, uint16_t half) {
  uint32_t unit = exponent & -exponent;
  return ((half & exponent) + unit) & (exponent + unit);
}

static bool any_carry(uint16_t exponent, const uint8_t *halves, int64_t count, int32_t stride) {
  uint32_t carry = 0;
  int64_t i = 0;
  if (stride == 2) {
    int32_t unit = exponent & -exponent;
    vi pairs = {0};
#pragma GCC unroll 4
    for (; i + 2 * VEC_LANES <= count; i += 2 * VEC_LANES) {
      pairs |= ((vi)vload((const float *)(halves + 2 * i)) & 0x7fff7fff) + (unit << 16 | unit);
    }
    carry = vany(vlt_int(pairs | pairs << 16, (vi){0}));
  }
#pragma GCC unroll 4
  for (; i < count; i++) carry |= half_carry(exponent, load_u16(halves + i * stride));
  return carry != 0;
}

// Index of the first block whose 16-bit floats have an infinity or a NaN, or -1.
static int64_t find_overflow(const quern_type *type, const uint8_t *blocks, int64_t count) {
  const quern_halves *halves = &type->halves;
  int64_t first = -1;
  for (int64_t block = 0; halves->read && block < count; block++) {
    if (half_carry(halves->exponent, halves->read(blocks + block * type->type_size))) return block;
  }
  for (int32_t i = 0; i < halves->count; i++) {
    const uint8_t *field = blocks + halves->offsets[i];
    if (!any_carry(halves->exponent, field, count, type->type_size)) continue;
    int64_t block = 0;
    while (!half_carry(halves->exponent, load_u16(field + block * type->type_size))) block++;
    // What follows this block is of no interest to the next field.
    first = block;
    count = block;
  }
  return first;
}

// Weights that are worked on at a time, unless a row has more: 64 blocks fill the lanes of every type. Small chunks are best,
// since processors fetch the next one from memory while they work on this one. With importance some types sum up whole rows, one
// in each lane. A multiple of every block size, so that chunks of blocks consist of whole blocks of the source, too.
INLINE int64_t chunk_size(const quern_type *type, bool weighted) {
  return weighted ? QUERN_CHUNK : type->block_size < 32 ? 2048 : 64 * type->block_size;
}

static quern_result quantize_rows(const quern_type *type, const quern_type *source_type, const uint8_t *source, uint8_t *target,
                                  int64_t rows, int64_t columns, const float *importance, float *scratch) {
  quern_result result = {QUERN_SOUND, 0};
  if (rows == 0 || columns == 0) return result;
  // Only importance needs to know where rows end.
  if (!importance) {
    rows *= columns / type->block_size;
    columns = type->block_size;
  }
  int64_t row_size = columns / type->block_size * type->type_size;
  int64_t chunk = chunk_size(type, importance != NULL);
  int64_t chunk_rows = columns < chunk ? chunk / columns : 1;
  bool in_place = source_type->is_float && (uintptr_t)source % sizeof(float) == 0;
  // Finite F16 and BF16 elements would come back from F32 as they were.
  bool halves = source_type->block_size == 1 && source_type->halves.count == 1, copied = halves && type == source_type;

  for (int64_t row = 0; row < rows; row += chunk_rows) {
    int64_t count = rows - row < chunk_rows ? rows - row : chunk_rows;
    const uint8_t *chunk_source = source + row * columns / source_type->block_size * source_type->type_size;
    uint8_t *blocks = target + row * row_size;
    const float *values = in_place ? (const float *)chunk_source : scratch;
    if (!in_place && !copied) source_type->dequantize(chunk_source, scratch, count * columns / source_type->block_size);
    int64_t bad = halves ? find_overflow(source_type, chunk_source, count * columns) : find_non_finite(values, count * columns);
    if (bad >= 0) return (quern_result){QUERN_NOT_FINITE, row * columns + bad};
    if (copied) {
      __builtin_memcpy(blocks, chunk_source, (uintptr_t)(count * row_size));
      continue;
    }
    type->quantize(values, blocks, count, columns, importance);
    if (result.verdict != QUERN_SOUND) continue;
    int64_t overflowed = find_overflow(type, blocks, count * (columns / type->block_size));
    if (overflowed >= 0) result = (quern_result){QUERN_OVERFLOW, row * columns + overflowed * type->block_size};
  }
  return result;
}

#endif
