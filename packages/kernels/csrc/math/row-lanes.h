// VEC_LANES rows of a matrix side by side: a vector for each column. Rows past the last one repeat it, and are not stored.
#ifndef QUERN_MATH_ROW_LANES_H
#define QUERN_MATH_ROW_LANES_H

#include "math/lanes.h"

INLINE void load_row_lanes(const float *source, int64_t stride, int64_t rows, int64_t columns, vf *target) {
  const float *lanes[VEC_LANES];
  for (int64_t lane = 0; lane < VEC_LANES; lane++) lanes[lane] = source + (lane < rows ? lane : rows - 1) * stride;
  int64_t column = 0;
  for (; column + VEC_LANES <= columns; column += VEC_LANES) {
    for (int lane = 0; lane < VEC_LANES; lane++) target[column + lane] = vload(lanes[lane] + column);
    vtranspose(target + column);
  }
  for (; column < columns; column++) {
    float values[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) values[lane] = lanes[lane][column];
    target[column] = vload(values);
  }
}

INLINE void store_row_lanes(const vf *source, float *target, int64_t stride, int64_t rows, int64_t columns) {
  int64_t column = 0;
  for (; column + VEC_LANES <= columns; column += VEC_LANES) {
    vf tile[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = source[column + lane];
    vtranspose(tile);
    for (int64_t lane = 0; lane < VEC_LANES && lane < rows; lane++) vstore(target + lane * stride + column, tile[lane]);
  }
  for (; column < columns; column++) {
    float values[VEC_LANES];
    vstore(values, source[column]);
    for (int64_t lane = 0; lane < VEC_LANES && lane < rows; lane++) target[lane * stride + column] = values[lane];
  }
}

// Bytes as integers.
INLINE void load_byte_lanes(const uint8_t *source, int64_t stride, int64_t rows, int64_t columns, vi *target) {
  const uint8_t *lanes[VEC_LANES];
  for (int64_t lane = 0; lane < VEC_LANES; lane++) lanes[lane] = source + (lane < rows ? lane : rows - 1) * stride;
  int64_t column = 0;
  for (; column + VEC_LANES <= columns; column += VEC_LANES) {
    vf tile[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = (vf)vload_u8(lanes[lane] + column);
    vtranspose(tile);
    for (int i = 0; i < VEC_LANES; i++) target[column + i] = (vi)tile[i];
  }
  for (; column < columns; column++) {
    for (int lane = 0; lane < VEC_LANES; lane++) target[column][lane] = lanes[lane][column];
  }
}

INLINE void store_byte_lanes(const vi *source, uint8_t *target, int64_t stride, int64_t rows, int64_t columns) {
  int64_t column = 0;
  for (; column + 16 <= columns; column += 16) {
    vi bytes[VEC_LANES][16 / VEC_LANES];
    for (int part = 0; part < 16 / VEC_LANES; part++) {
      vf tile[VEC_LANES];
      for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = (vf)source[column + part * VEC_LANES + lane];
      vtranspose(tile);
      for (int lane = 0; lane < VEC_LANES; lane++) bytes[lane][part] = (vi)tile[lane];
    }
    for (int64_t lane = 0; lane < VEC_LANES && lane < rows; lane++) vstore_uint8(target + lane * stride + column, bytes[lane]);
  }
  for (; column < columns; column++) {
    for (int64_t lane = 0; lane < VEC_LANES && lane < rows; lane++) target[lane * stride + column] = (uint8_t)source[column][lane];
  }
}

#endif
