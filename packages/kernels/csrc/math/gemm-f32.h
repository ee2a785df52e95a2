// Products of F32 matrices, one of which may come in any type: it becomes F32 as it is packed.
#ifndef QUERN_MATH_GEMM_F32_H
#define QUERN_MATH_GEMM_F32_H

#include "kernel.h"
#include "math/lanes.h"

// 16 (SSE2, AVX2, Wasm) or 32 (AVX-512, NEON) registers hold the sums, a row of b and an element of a.
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
// Depth and columns are multiples of every block size, so that packing begins at blocks.
#define BLOCK_ROWS 240
#define BLOCK_DEPTH 256
#define BLOCK_COLUMNS 2048
#define REAL float
#define VECTOR vf
#define LANES VEC_LANES
#define LOAD vload
#define STORE vstore
#define SPLAT vsplat
#define FMA vmuladd
#define NAMED(name) name##_f32

#include "math/gemm-template.h"

enum { TILE_ROWS_F32 = TILE_ROWS, TILE_COLUMNS_F32 = TILE_COLUMNS, BLOCK_ROWS_F32 = BLOCK_ROWS, BLOCK_DEPTH_F32 = BLOCK_DEPTH,
       BLOCK_COLUMNS_F32 = BLOCK_COLUMNS, MOST_WIDTH_F32 = TILE_ROWS > TILE_COLUMNS ? TILE_ROWS : TILE_COLUMNS };

// A matrix as one side of a product sees it: `outer` counts rows of a or columns of b, k what is summed over.
typedef struct {
  const quern_type *type;
  const uint8_t *data;
  int64_t stride;   // bytes from row to row in memory
  bool along_outer; // rows in memory run along outer, not along k
} operand_f32;

// `count` elements of a row in memory from this one on, which begins a block: where they are, or in `copy`.
INLINE const float *elements_of(const operand_f32 *operand, int64_t row, int64_t first, int64_t count, float *copy) {
  const quern_type *type = operand->type;
  const uint8_t *source = operand->data + row * operand->stride + first / type->block_size * type->type_size;
  if (type->is_float && (uintptr_t)source % sizeof(float) == 0) return (const float *)source;
  type->dequantize(source, copy, count / type->block_size);
  return copy;
}

// Puts element i of `width` rows side by side, at panel[i * width]. Writes up to VEC_LANES elements past the end.
INLINE void interleave(const float *const *rows, int width, int64_t count, float *panel) {
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) {
    for (int first = 0; first < width; first += VEC_LANES) {
      vf square[VEC_LANES];
      for (int row = 0; row < VEC_LANES; row++) square[row] = first + row < width ? vload(rows[first + row] + i) : (vf){0};
      vtranspose(square);
      // Where a vector reaches past the row's end, the next row overwrites it.
      for (int column = 0; column < VEC_LANES; column++) vstore(panel + (i + column) * width + first, square[column]);
    }
  }
  for (; i < count; i++) {
    for (int row = 0; row < width; row++) panel[i * width + row] = rows[row][i];
  }
}

INLINE void pack_along_k(const operand_f32 *operand, int width, int64_t first, int64_t count, int64_t k, int64_t depth,
                         float *panels) {
  static const float zeros[BLOCK_DEPTH_F32];
  float copies[MOST_WIDTH_F32][BLOCK_DEPTH_F32];
  const float *rows[MOST_WIDTH_F32];
  for (int64_t done = 0; done < count; done += width, panels += width * depth) {
    for (int row = 0; row < width; row++) {
      rows[row] = done + row < count ? elements_of(operand, first + done + row, k, depth, copies[row]) : zeros;
    }
    interleave(rows, width, depth, panels);
  }
}

INLINE void pack_along_outer(const operand_f32 *operand, int width, int64_t first, int64_t count, int64_t k, int64_t depth,
                             float *panels) {
  float copy[BLOCK_COLUMNS_F32];
  for (int64_t row = 0; row < depth; row++) {
    const float *elements = elements_of(operand, k + row, first, count, copy);
    float *panel = panels + row * width;
    int64_t done = 0;
    for (; done + width <= count; done += width, panel += width * depth) {
      for (int i = 0; i < width; i++) panel[i] = elements[done + i];
    }
    if (done == count) continue;
    for (int i = 0; i < width; i++) panel[i] = done + i < count ? elements[done + i] : 0;
  }
}

static void pack_a_f32(const void *operand, int64_t first, int64_t count, int64_t k, int64_t depth, float *panels) {
  if (((const operand_f32 *)operand)->along_outer) {
    pack_along_outer(operand, TILE_ROWS_F32, first, count, k, depth, panels);
  } else {
    pack_along_k(operand, TILE_ROWS_F32, first, count, k, depth, panels);
  }
}

static void pack_b_f32(const void *operand, int64_t first, int64_t count, int64_t k, int64_t depth, float *panels) {
  if (((const operand_f32 *)operand)->along_outer) {
    pack_along_outer(operand, TILE_COLUMNS_F32, first, count, k, depth, panels);
  } else {
    pack_along_k(operand, TILE_COLUMNS_F32, first, count, k, depth, panels);
  }
}

#include "math/gemm-template-end.h"

#endif
