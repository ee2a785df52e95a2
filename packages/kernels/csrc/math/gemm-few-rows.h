// Products of few rows of a with a b whose rows run along k: a linear layer for one token, or for some. Packing panels for whole
// tiles would take longer than the product, so VEC_LANES rows of b are transposed in registers and multiplied there. Every element
// of the product is summed in the order of gemm-template.h, and so is the same to the bit.
#ifndef QUERN_MATH_GEMM_FEW_ROWS_H
#define QUERN_MATH_GEMM_FEW_ROWS_H

#include "math/gemm-f32.h"

// With more rows, tiles are faster. FEW_COLUMNS rows of b, as F32, stay in the first cache.
#if VEC_LANES == 4
enum { MOST_FEW_ROWS = 3 };
#else
enum { MOST_FEW_ROWS = 8 };
#endif
enum { FEW_COLUMNS = 16 };

// a: element (row, k) at a[row * row_step + k * step].
typedef struct {
  const float *elements;
  int64_t row_step, step;
} few_rows;

typedef vf few_sums[MOST_FEW_ROWS][FEW_COLUMNS / VEC_LANES];

// Adds `count` products to the sums of `rows` rows and VEC_LANES columns.
INLINE void add_few_products(int rows, few_rows a, const vf *columns, int64_t count, vf *sums) {
#pragma GCC unroll 16
  for (int64_t k = 0; k < count; k++) {
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++) {
      vf *sum = &sums[row * (FEW_COLUMNS / VEC_LANES)];
      *sum = vmuladd(vsplat(a.elements[row * a.row_step + k * a.step]), columns[k], *sum);
    }
  }
}

// Sums in order, from 0, over `depth` elements of `rows` rows of a and `vectors` * VEC_LANES rows of b.
INLINE void sum_few_rows(int rows, int vectors, few_rows a, const float (*b)[BLOCK_DEPTH_F32], int64_t depth, vf *sums) {
  few_sums totals = {0};
  for (int64_t k = 0; k < depth; k += VEC_LANES, a.elements += VEC_LANES * a.step) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      vf square[VEC_LANES];
#pragma GCC unroll 16
      for (int lane = 0; lane < VEC_LANES; lane++) square[lane] = vload(b[v * VEC_LANES + lane] + k);
      vtranspose(square);
      if (depth - k >= VEC_LANES) add_few_products(rows, a, square, VEC_LANES, &totals[0][v]);
      else add_few_products(rows, a, square, depth - k, &totals[0][v]);
    }
  }
  for (int row = 0; row < rows; row++) {
    for (int v = 0; v < vectors; v++) sums[row * (FEW_COLUMNS / VEC_LANES) + v] = totals[row][v];
  }
}

// All FEW_COLUMNS, as many at once as registers hold sums of.
INLINE void sum_all_of_few(int rows, few_rows a, const float (*b)[BLOCK_DEPTH_F32], int64_t depth, vf *sums) {
  const int all = FEW_COLUMNS / VEC_LANES, vectors = rows <= 2 || all == 1 ? all : rows <= 4 ? 2 : 1;
  for (int v = 0; v < all; v += vectors) sum_few_rows(rows, vectors, a, b + v * VEC_LANES, depth, sums + v);
}

static void sum_columns_of_few(int64_t rows, few_rows a, const float (*b)[BLOCK_DEPTH_F32], int64_t depth, vf *sums) {
#define SUM(rows) case rows: sum_all_of_few(rows, a, b, depth, sums); break
  switch (rows) {
    SUM(1);
    SUM(2);
    SUM(3);
#if VEC_LANES > 4
    SUM(4);
    SUM(5);
    SUM(6);
    SUM(7);
    SUM(8);
#endif
  }
#undef SUM
}

static void multiply_few_rows(const product_f32 *p) {
  const operand_f32 *left = p->a, *b = p->b;
  int64_t stride = left->stride / (int64_t)sizeof(float);
  few_rows a = {(const float *)left->data, left->along_outer ? 1 : stride, left->along_outer ? stride : 1};
  float copies[FEW_COLUMNS][BLOCK_DEPTH_F32];
  few_sums sums;
  // What is read past the depth, or beyond the last row of b, does not reach the product, but should not be slow as NaN is.
  __builtin_memset(copies, 0, sizeof copies);
  for (int64_t column = 0; column < p->columns; column += FEW_COLUMNS) {
    int64_t columns = p->columns - column < FEW_COLUMNS ? p->columns - column : FEW_COLUMNS;
    for (int64_t k = 0; k < p->depth; k += BLOCK_DEPTH_F32) {
      int64_t depth = p->depth - k < BLOCK_DEPTH_F32 ? p->depth - k : BLOCK_DEPTH_F32;
      const uint8_t *blocks = b->data + column * b->stride + k / b->type->block_size * b->type->type_size;
      int64_t bytes = depth / b->type->block_size * b->type->type_size;
      for (int64_t row = 0; row < columns; row++, blocks += b->stride) {
        // What comes next along k arrives while this is multiplied.
        for (int64_t next = bytes; next < 2 * bytes && k + depth < p->depth; next += 64) __builtin_prefetch(blocks + next);
        b->type->dequantize(blocks, copies[row], depth / b->type->block_size);
      }
      few_rows part = {a.elements + k * a.step, a.row_step, a.step};
      sum_columns_of_few(p->rows, part, (const float(*)[BLOCK_DEPTH_F32])copies, depth, sums[0]);
      for (int64_t row = 0; row < p->rows; row++) {
        for (int64_t i = 0; i < columns; i += VEC_LANES) {
          float *target = p->c + row * p->stride + column + i;
          vf sum = sums[row][i / VEC_LANES], alpha = vsplat(p->alpha);
          bool add = p->accumulate || k > 0;
          if (columns - i >= VEC_LANES) vstore(target, add ? vmuladd(alpha, sum, vload(target)) : alpha * sum);
          else vstore_part(target, add ? vmuladd(alpha, sum, vload_part(target, columns - i)) : alpha * sum, columns - i);
        }
      }
    }
  }
}

#endif
