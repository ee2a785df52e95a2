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

// Panels are twice as deep as those of F32 and half as wide: memory is the limit for what the sums are subtracted from.
enum {
  MIXED_DEPTH = 2 * BLOCK_DEPTH_F32,
  MIXED_ROWS = BLOCK_ROWS_F32 / 2 / TILE_ROWS_F32 * TILE_ROWS_F32,
  MIXED_COLUMNS = BLOCK_COLUMNS_F32 / 2,
};

INLINE void subtract_tile(const float *tile, double *c, int64_t stride, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) c[i * stride + j] -= (double)tile[i * TILE_COLUMNS_F32 + j];
  }
}

typedef struct {
  const double *a, *b; // `rows` and `columns` rows of `depth` elements
  int64_t stride;      // of all matrices
  int64_t rows, columns, depth;
  double *c;
  bool lower; // whether what is above the diagonal of c is of no use
} mixed_product;

enum {
  MIXED_A_PART = MIXED_ROWS * BLOCK_DEPTH_F32,
  MIXED_B_PART = ROUND_UP(MIXED_COLUMNS, TILE_COLUMNS_F32) * BLOCK_DEPTH_F32,
};

// Parts of BLOCK_DEPTH, one after the other.
INLINE void pack_mixed(pack_f32 *pack, const double *rows, int64_t stride, int64_t first, int64_t count, int64_t k, int64_t depth,
                       float *panels, int64_t part_size) {
  operand_f32 operand = {&DOUBLES, (const uint8_t *)rows, stride * (int64_t)sizeof(double), false};
  for (int64_t done = 0; done < depth; done += BLOCK_DEPTH_F32, panels += part_size) {
    pack(&operand, first, count, k + done, SMALLER(BLOCK_DEPTH_F32, depth - done), panels);
  }
}

// Subtracts from a tile of c at this row and column.
INLINE void subtract_tile_product(const float *a, const float *b, int64_t row, int64_t column, int64_t depth, double *c, int64_t stride,
                                  int64_t rows, int64_t columns) {
  for (int64_t k = 0; k < depth; k += BLOCK_DEPTH_F32, a += MIXED_A_PART, b += MIXED_B_PART) {
    int64_t deep = SMALLER(BLOCK_DEPTH_F32, depth - k);
    float tile[TILE_ROWS_F32 * TILE_COLUMNS_F32];
    multiply_tile_f32(deep, a + row * deep, b + column * deep, 1, false, tile, TILE_COLUMNS_F32);
    if (rows == TILE_ROWS_F32 && columns == TILE_COLUMNS_F32) subtract_tile(tile, c, stride, TILE_ROWS_F32, TILE_COLUMNS_F32);
    else subtract_tile(tile, c, stride, rows, columns);
  }
}

// c -= a b^T. panels: PANEL_BYTES_f32, 64-byte aligned.
static void subtract_mixed_product(const mixed_product *p, float *panels) {
  float *a_panels = panels, *b_panels = panels + A_PANELS_f32;
  for (int64_t column = 0; column < p->columns; column += MIXED_COLUMNS) {
    int64_t across = SMALLER(MIXED_COLUMNS, p->columns - column);
    for (int64_t k = 0; k < p->depth; k += MIXED_DEPTH) {
      int64_t depth = SMALLER(MIXED_DEPTH, p->depth - k);
      pack_mixed(pack_b_f32, p->b, p->stride, column, across, k, depth, b_panels, MIXED_B_PART);
      for (int64_t row = p->lower ? column : 0; row < p->rows; row += MIXED_ROWS) {
        int64_t down = SMALLER(MIXED_ROWS, p->rows - row);
        pack_mixed(pack_a_f32, p->a, p->stride, row, down, k, depth, a_panels, MIXED_A_PART);
        for (int64_t j = 0; j < across; j += TILE_COLUMNS_F32) {
          for (int64_t i = 0; i < down; i += TILE_ROWS_F32) {
            if (p->lower && column + j >= row + i + TILE_ROWS_F32) continue;
            subtract_tile_product(a_panels, b_panels, i, j, depth, p->c + (row + i) * p->stride + column + j, p->stride,
                                  SMALLER(TILE_ROWS_F32, down - i), SMALLER(TILE_COLUMNS_F32, across - j));
          }
        }
      }
    }
  }
}

#endif
