// gemm: c = alpha * a * b (+ c), where a or b may be stored transposed and b may be of any type.
// Numbers: m, n, k, a's stride, a transposed?, b's type, b's stride, b transposed?, c's stride, alpha, accumulate?
// Arrays: a (float), b (of its type, without alignment), c (float).
#ifndef QUERN_MATH_GEMM_H
#define QUERN_MATH_GEMM_H

#include "math/gemm-f32.h"
#include "math/gemm-few-rows.h"
#include "math/operation.h"

static const quern_type PLAIN_FLOATS = {.name = "F32", .block_size = 1, .type_size = 4, .is_float = true};

static int64_t scratch_of_gemm(const double *numbers) {
  (void)numbers;
  return PANEL_BYTES_f32;
}

static double run_gemm(const quern_call *call) {
  const double *n = call->numbers;
  const quern_type *type = &call->types[(int32_t)n[5]];
  operand_f32 a = {&PLAIN_FLOATS, call->arrays[0], (int64_t)n[3] * 4, n[4] != 0};
  operand_f32 b = {type, call->arrays[1], (int64_t)n[6] / type->block_size * type->type_size, n[7] == 0};
  product_f32 product = {
      .rows = (int64_t)n[0],
      .columns = (int64_t)n[1],
      .depth = (int64_t)n[2],
      .a = &a,
      .b = &b,
      .pack_a = pack_a_f32,
      .pack_b = pack_b_f32,
      .alpha = (float)n[9],
      .accumulate = n[10] != 0,
      .c = call->arrays[2],
      .stride = (int64_t)n[8],
  };
  if (product.rows <= MOST_FEW_ROWS && product.depth > 0 && !b.along_outer) multiply_few_rows(&product);
  else multiply_f32(&product, (float *)call->scratch);
  return 0;
}

#endif
