// Products of F64 matrices whose elements count as F32: twice as fast as in F64. Sums over BLOCK_DEPTH elements are F32, too, and then
// subtracted in F64, so that errors do not grow with the depth.
#ifndef QUERN_MATH_GEMM_MIXED_H
#define QUERN_MATH_GEMM_MIXED_H

#include "math/gemm-f32.h"

static void floats_of_doubles(const uint8_t *source, float *target, int64_t count) {
  const double *elements = (const double *)source;
  for (int64_t i = 0; i < count; i++) target[i] = (float)elements[i];
}

static const quern_type DOUBLES = {.name = "F64", .block_size = 1, .type_size = 8, .dequantize = floats_of_doubles};

INLINE void subtract_tile(const float *tile, double *c, int64_t stride, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) c[i * stride + j] -= (double)tile[i * TILE_COLUMNS_F32 + j];
  }
}

INLINE void subtract_blocks(int64_t rows, int64_t columns, int64_t depth, const float *a, const float *b, double *c, int64_t stride) {
  for (int64_t column = 0; column < columns; column += TILE_COLUMNS_F32) {
    for (int64_t row = 0; row < rows; row += TILE_ROWS_F32) {
      float tile[TILE_ROWS_F32 * TILE_COLUMNS_F32];
      double *target = c + row * stride + column;
      multiply_tile_f32(depth, a + row * depth, b + column * depth, 1, false, tile, TILE_COLUMNS_F32);
      if (rows - row >= TILE_ROWS_F32 && columns - column >= TILE_COLUMNS_F32) {
        subtract_tile(tile, target, stride, TILE_ROWS_F32, TILE_COLUMNS_F32);
      } else {
        subtract_tile(tile, target, stride, SMALLER(TILE_ROWS_F32, rows - row), SMALLER(TILE_COLUMNS_F32, columns - column));
      }
    }
  }
}

// c -= a b^T: `rows` rows of a, `columns` of b, of `depth` elements each. panels: PANEL_BYTES_f32, 64-byte aligned.
static void subtract_mixed_product(const double *a, const double *b, int64_t stride, int64_t rows, int64_t columns, int64_t depth,
                                   double *c, float *panels) {
  operand_f32 left = {&DOUBLES, (const uint8_t *)a, stride * 8, false}, right = {&DOUBLES, (const uint8_t *)b, stride * 8, false};
  float *a_panels = panels, *b_panels = panels + A_PANELS_f32;
  for (int64_t column = 0; column < columns; column += BLOCK_COLUMNS_F32) {
    int64_t across = SMALLER(BLOCK_COLUMNS_F32, columns - column);
    for (int64_t k = 0; k < depth; k += BLOCK_DEPTH_F32) {
      int64_t deep = SMALLER(BLOCK_DEPTH_F32, depth - k);
      pack_b_f32(&right, column, across, k, deep, b_panels);
      for (int64_t row = 0; row < rows; row += BLOCK_ROWS_F32) {
        int64_t down = SMALLER(BLOCK_ROWS_F32, rows - row);
        pack_a_f32(&left, row, down, k, deep, a_panels);
        subtract_blocks(down, across, deep, a_panels, b_panels, c + row * stride + column, stride);
      }
    }
  }
}

#endif
