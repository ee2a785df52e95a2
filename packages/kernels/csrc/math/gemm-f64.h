// Products of F64 matrices.
#ifndef QUERN_MATH_GEMM_F64_H
#define QUERN_MATH_GEMM_F64_H

#include "math/lanes.h"

#if defined(__AVX512F__)
#define TILE_ROWS 12
#define TILE_VECTORS 2
#elif defined(__AVX2__)
#define TILE_ROWS 6
#define TILE_VECTORS 2
#elif defined(__ARM_NEON)
#define TILE_ROWS 8
#define TILE_VECTORS 3
#else
#define TILE_ROWS 4
#define TILE_VECTORS 2
#endif
#define BLOCK_ROWS 120
#define BLOCK_DEPTH 256
#define BLOCK_COLUMNS 1024
#define REAL double
#define VECTOR vd
#define LANES VEC_LANES_F64
#define LOAD vload_f64
#define STORE vstore_f64
#define SPLAT vsplat_f64
#define FMA vmuladd_f64
#define NAMED(name) name##_f64

#include "math/gemm-template.h"

// Rows of a matrix, or of its transpose.
typedef struct {
  const double *data;
  int64_t stride; // elements
  bool transposed;
} matrix_f64;

enum { TILE_ROWS_F64 = TILE_ROWS, TILE_COLUMNS_F64 = TILE_COLUMNS };

// Elements (first + i, k + j) of a matrix to panels of `width` rows; `along_outer` when i runs along rows in memory.
INLINE void pack_f64_panels(const double *data, int64_t stride, bool along_outer, int width, int64_t first, int64_t count,
                            int64_t k, int64_t depth, double *panels) {
  for (int64_t done = 0; done < count; done += width, panels += width * depth) {
    int64_t rows = count - done < width ? count - done : width;
    int64_t outer = first + done;
    for (int64_t j = 0; j < depth; j++) {
      const double *source = along_outer ? data + (k + j) * stride + outer : data + outer * stride + k + j;
      int64_t step = along_outer ? 1 : stride;
      double *target = panels + j * width;
      if (rows == width) {
        for (int i = 0; i < width; i++) target[i] = source[i * step];
      } else {
        for (int i = 0; i < width; i++) target[i] = i < rows ? source[i * step] : 0;
      }
    }
  }
}

static void pack_a_f64(const void *operand, int64_t first, int64_t count, int64_t k, int64_t depth, double *panels) {
  const matrix_f64 *a = operand;
  pack_f64_panels(a->data, a->stride, a->transposed, TILE_ROWS_F64, first, count, k, depth, panels);
}

static void pack_b_f64(const void *operand, int64_t first, int64_t count, int64_t k, int64_t depth, double *panels) {
  const matrix_f64 *b = operand;
  pack_f64_panels(b->data, b->stride, !b->transposed, TILE_COLUMNS_F64, first, count, k, depth, panels);
}

#include "math/gemm-template-end.h"

// c = alpha * a * b, plus c if `accumulate`: rows x columns, summed over depth.
static void product_of(matrix_f64 a, matrix_f64 b, int64_t rows, int64_t columns, int64_t depth, double alpha, bool accumulate,
                       double *c, int64_t stride, double *panels) {
  product_f64 product = {rows, columns, depth, &a, &b, pack_a_f64, pack_b_f64, alpha, accumulate, c, stride};
  multiply_f64(&product, panels);
}

#endif
