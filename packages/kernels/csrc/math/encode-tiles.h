// encodeTiles: the nearest codes of weights, and what they mean. decodeTiles: what codes mean.
// Numbers: rows, columns, first column, strides of weights (encodeTiles alone), codes and values, then those of tile_codes.
// Arrays: weights (float; encodeTiles alone), codes (bytes), values (float, may be left out by encodeTiles), scales (float), shifts
// (float), table.
#ifndef QUERN_MATH_ENCODE_TILES_H
#define QUERN_MATH_ENCODE_TILES_H

#include "math/tile-codes.h"

// Elements that are encoded at a time: what bytes are stored for.
enum { ENCODED = 16, ENCODED_VECTORS = ENCODED / VEC_LANES };

INLINE void encode_some(int rule, const tile_codes *codes, tile_lanes tile, const float *weights, uint8_t *code_bytes, float *values) {
  vi integers[ENCODED_VECTORS];
  for (int i = 0; i < ENCODED_VECTORS; i++) {
    coded_lanes coded = encode_lanes(rule, codes, vload(weights + i * VEC_LANES), tile);
    integers[i] = integer_code(rule, codes, coded.code);
    vstore(values + i * VEC_LANES, coded.value);
  }
  vstore_uint8(code_bytes, integers);
}

INLINE void encode_run(int rule, const tile_codes *codes, tile_lanes tile, const float *weights, uint8_t *code_bytes, float *values,
                       int64_t count) {
  float unused[ENCODED];
  int64_t i = 0;
  for (; i + ENCODED <= count; i += ENCODED) {
    encode_some(rule, codes, tile, weights + i, code_bytes + i, values ? values + i : unused);
  }
  if (i == count) return;
  float some[ENCODED] = {0};
  uint8_t bytes[ENCODED];
  for (int64_t j = i; j < count; j++) some[j - i] = weights[j];
  encode_some(rule, codes, tile, some, bytes, some);
  for (int64_t j = i; j < count; j++) {
    code_bytes[j] = bytes[j - i];
    if (values) values[j] = some[j - i];
  }
}

INLINE void decode_run(int rule, const tile_codes *codes, tile_lanes tile, const uint8_t *code_bytes, float *values, int64_t count) {
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) {
    vstore(values + i, decode_lanes(rule, codes, vload_u8(code_bytes + i), tile));
  }
  if (i == count) return;
  uint8_t bytes[VEC_LANES] = {0};
  for (int64_t j = i; j < count; j++) bytes[j - i] = code_bytes[j];
  vstore_part(values + i, decode_lanes(rule, codes, vload_u8(bytes), tile), count - i);
}

// Columns from this one on that are in the same tile.
INLINE int64_t run_length(const tile_codes *codes, int64_t column, int64_t end) {
  int64_t tile_end = (column / codes->tile_columns + 1) * codes->tile_columns;
  return (tile_end < end ? tile_end : end) - column;
}

INLINE void encode_rows(int rule, const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], first = (int64_t)n[2], end = first + (int64_t)n[1];
  tile_codes codes = tile_codes_of(n + 6, call->arrays[3], call->arrays[4], call->arrays[5]);
  for (int64_t row = 0; row < rows; row++) {
    const float *weights = (const float *)call->arrays[0] + row * (int64_t)n[3];
    uint8_t *code_row = (uint8_t *)call->arrays[1] + row * (int64_t)n[4];
    float *values = call->arrays[2] ? (float *)call->arrays[2] + row * (int64_t)n[5] : NULL;
    const int64_t tiles = row / codes.tile_rows * codes.across;
    for (int64_t column = first, count; column < end; column += count) {
      count = run_length(&codes, column, end);
      int64_t at = column - first;
      tile_lanes tile = splat_tile(rule, &codes, tiles + column / codes.tile_columns);
      encode_run(rule, &codes, tile, weights + at, code_row + at, values ? values + at : NULL, count);
    }
  }
}

INLINE void decode_rows(int rule, const quern_call *call) {
  const double *n = call->numbers;
  int64_t rows = (int64_t)n[0], first = (int64_t)n[2], end = first + (int64_t)n[1];
  tile_codes codes = tile_codes_of(n + 5, call->arrays[2], call->arrays[3], call->arrays[4]);
  for (int64_t row = 0; row < rows; row++) {
    const uint8_t *code_row = (const uint8_t *)call->arrays[0] + row * (int64_t)n[3];
    float *values = (float *)call->arrays[1] + row * (int64_t)n[4];
    const int64_t tiles = row / codes.tile_rows * codes.across;
    for (int64_t column = first, count; column < end; column += count) {
      count = run_length(&codes, column, end);
      int64_t at = column - first;
      tile_lanes tile = splat_tile(rule, &codes, tiles + column / codes.tile_columns);
      decode_run(rule, &codes, tile, code_row + at, values + at, count);
    }
  }
}

static double run_encode_tiles(const quern_call *call) {
  FOR_RULE((int)call->numbers[6], encode_rows, call);
  return 0;
}

static double run_decode_tiles(const quern_call *call) {
  FOR_RULE((int)call->numbers[5], decode_rows, call);
  return 0;
}

#endif
