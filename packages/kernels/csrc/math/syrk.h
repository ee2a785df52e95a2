// syrk: h += x^T x, the lower triangle of some rows of h in F64. The sums over BLOCK_DEPTH tokens are F32, and then added in F64.
// Numbers: tokens, n, x's stride, first row, rows. Arrays: x (float), h (double, from the first row on).
#ifndef QUERN_MATH_SYRK_H
#define QUERN_MATH_SYRK_H

#include "math/gemm-f32.h"
#include "math/operation.h"

// Adds the part of a tile at this row and column that lies on or below the diagonal.
INLINE void add_tile(const float *tile, double *h, int64_t stride, int64_t first_row, int64_t row, int64_t rows, int64_t column,
                     int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    int64_t below = row + i - column + 1, count = below < columns ? below : columns;
    double *target = h + (row + i - first_row) * stride + column;
    for (int64_t j = 0; j < count; j++) target[j] += (double)tile[i * TILE_COLUMNS_F32 + j];
  }
}

static double run_syrk(const quern_call *call) {
  int64_t tokens = (int64_t)call->numbers[0], n = (int64_t)call->numbers[1], first = (int64_t)call->numbers[3];
  int64_t end = first + (int64_t)call->numbers[4];
  operand_f32 x = {&PLAIN_FLOATS, call->arrays[0], (int64_t)call->numbers[2] * 4, true};
  double *h = call->arrays[1];
  float *a = (float *)call->scratch, *b = a + A_PANELS_f32;
  for (int64_t column = 0; column < end; column += BLOCK_COLUMNS_F32) {
    int64_t columns = end - column < BLOCK_COLUMNS_F32 ? end - column : BLOCK_COLUMNS_F32;
    for (int64_t k = 0; k < tokens; k += BLOCK_DEPTH_F32) {
      int64_t depth = tokens - k < BLOCK_DEPTH_F32 ? tokens - k : BLOCK_DEPTH_F32;
      pack_b_f32(&x, column, columns, k, depth, b);
      for (int64_t row = first > column ? first : column; row < end; row += BLOCK_ROWS_F32) {
        int64_t rows = end - row < BLOCK_ROWS_F32 ? end - row : BLOCK_ROWS_F32;
        pack_a_f32(&x, row, rows, k, depth, a);
        for (int64_t j = 0; j < columns && column + j < row + rows; j += TILE_COLUMNS_F32) {
          for (int64_t i = 0; i < rows; i += TILE_ROWS_F32) {
            int64_t tile_rows = rows - i < TILE_ROWS_F32 ? rows - i : TILE_ROWS_F32;
            int64_t tile_columns = columns - j < TILE_COLUMNS_F32 ? columns - j : TILE_COLUMNS_F32;
            if (column + j >= row + i + tile_rows) continue;
            float tile[TILE_ROWS_F32 * TILE_COLUMNS_F32];
            multiply_tile_f32(depth, a + i * depth, b + j * depth, 1, false, tile, TILE_COLUMNS_F32);
            add_tile(tile, h, n, first, row + i, tile_rows, column + j, tile_columns);
          }
        }
      }
    }
  }
  return 0;
}

#endif
