// attention: softmax attention within one sequence, for blocks of queries whose scores are kept as a whole.
// Numbers: tokens, keys, heads, kv heads, head size, value size, strides of q, k, v and y, scale, first position, keys before and after
// the query's position that it sees, soft cap or 0.
// Arrays: q, k, v, y, sinks or none (float).
#ifndef QUERN_MATH_ATTENTION_H
#define QUERN_MATH_ATTENTION_H

#include "math/gemm.h"
#include "math/softmax.h"

// Rows of scores (queries of all heads that share keys) that are worked on at a time, at least.
enum { SCORE_ROWS = 192 };

typedef struct {
  int64_t tokens, keys, heads, kv_heads, head_size, value_size, q_stride, k_stride, v_stride, y_stride;
  float scale;
  int64_t first_position, before, after;
  float soft_cap;
} attention_shape;

static attention_shape attention_shape_of(const double *n) {
  return (attention_shape){
      (int64_t)n[0],  (int64_t)n[1],  (int64_t)n[2], (int64_t)n[3],  (int64_t)n[4],  (int64_t)n[5],  (int64_t)n[6], (int64_t)n[7],
      (int64_t)n[8],  (int64_t)n[9],  (float)n[10],  (int64_t)n[11], (int64_t)n[12], (int64_t)n[13], (float)n[14],
  };
}

static int64_t queries_at_a_time(const attention_shape *shape) {
  int64_t group = shape->heads / shape->kv_heads, queries = (SCORE_ROWS + group - 1) / group;
  return queries < shape->tokens ? queries : shape->tokens;
}

static int64_t scratch_of_attention(const double *numbers) {
  attention_shape shape = attention_shape_of(numbers);
  int64_t rows = queries_at_a_time(&shape) * (shape.heads / shape.kv_heads);
  int64_t floats = rows * (shape.head_size + shape.keys + shape.value_size + 1);
  return ALIGNED_BYTES(PANEL_BYTES_f32) + floats * (int64_t)sizeof(float);
}

// The keys that a query at this position sees: from *first up to *end.
INLINE void visible_keys(const attention_shape *shape, int64_t position, int64_t *first, int64_t *end) {
  *end = position + shape->after + 1 < shape->keys ? position + shape->after + 1 : shape->keys;
  *first = position > shape->before ? position - shape->before : 0;
  if (*end < 0) *end = 0;
  if (*first > *end) *first = *end;
}

// Scores of one query become exp(score - largest), 0 for keys that it does not see. Returns the factor that makes them probabilities.
static float weigh_scores(float *scores, int64_t count, int64_t first, int64_t end, float scale, float soft_cap, const float *sink) {
  for (int64_t i = 0; i < first; i++) scores[i] = 0;
  for (int64_t i = end; i < count; i++) scores[i] = 0;
  scale_row(scores + first, end - first, soft_cap > 0 ? scale / soft_cap : scale);
  if (soft_cap > 0) {
    int64_t i = first;
    for (; i + VEC_LANES <= end; i += VEC_LANES) vstore(scores + i, vtanh(vload(scores + i)) * soft_cap);
    vstore_part(scores + i, vtanh(vload_part(scores + i, end - i)) * soft_cap, end - i);
  }
  float largest = largest_of_row(scores + first, end - first);
  if (sink && *sink > largest) largest = *sink;
  exponentials(scores + first, scores + first, end - first, largest);
  double sum = sum_row(scores + first, end - first);
  if (sink) sum += (double)vexp(vsplat(*sink) - largest)[0];
  return first == end ? 0 : (float)(1 / sum);
}

static double run_attention(const quern_call *call) {
  attention_shape shape = attention_shape_of(call->numbers);
  if (shape.tokens == 0) return 0;
  const float *q = call->arrays[0], *k = call->arrays[1], *v = call->arrays[2], *sinks = call->arrays[4];
  float *y = call->arrays[3];
  int64_t group = shape.heads / shape.kv_heads, step = queries_at_a_time(&shape);
  float *panels = (float *)call->scratch;
  float *queries = (float *)(call->scratch + ALIGNED_BYTES(PANEL_BYTES_f32));
  float *results = queries + step * group * shape.head_size;
  float *factors = results + step * group * shape.value_size;
  float *scores = factors + step * group;

  for (int64_t kv_head = 0; kv_head < shape.kv_heads; kv_head++) {
    for (int64_t token = 0; token < shape.tokens; token += step) {
      int64_t tokens = shape.tokens - token < step ? shape.tokens - token : step, rows = tokens * group;
      int64_t position = shape.first_position + token, start, end, ignored;
      visible_keys(&shape, position, &start, &ignored);
      visible_keys(&shape, position + tokens - 1, &ignored, &end);
      // Products are summed by blocks of keys, which must not depend on which queries are worked on together.
      start = start / BLOCK_DEPTH_F32 * BLOCK_DEPTH_F32;
      int64_t keys = end - start;

      for (int64_t row = 0; row < rows; row++) {
        const float *query = q + (token + row / group) * shape.q_stride + (kv_head * group + row % group) * shape.head_size;
        for (int64_t i = 0; i < shape.head_size; i++) queries[row * shape.head_size + i] = query[i];
      }
      operand_f32 a = {&PLAIN_FLOATS, (const uint8_t *)queries, shape.head_size * 4, false};
      operand_f32 b = {&PLAIN_FLOATS, (const uint8_t *)(k + start * shape.k_stride + kv_head * shape.head_size),
                       shape.k_stride * 4, false};
      multiply_f32(&(product_f32){rows, keys, shape.head_size, &a, &b, pack_a_f32, pack_b_f32, 1, false, scores, keys}, panels);

      for (int64_t row = 0; row < rows; row++) {
        int64_t from, to;
        visible_keys(&shape, position + row / group, &from, &to);
        const float *sink = sinks ? sinks + kv_head * group + row % group : NULL;
        factors[row] = weigh_scores(scores + row * keys, keys, from - start, to - start, shape.scale, shape.soft_cap, sink);
      }

      a = (operand_f32){&PLAIN_FLOATS, (const uint8_t *)scores, keys * 4, false};
      b = (operand_f32){&PLAIN_FLOATS, (const uint8_t *)(v + start * shape.v_stride + kv_head * shape.value_size),
                        shape.v_stride * 4, true};
      multiply_f32(&(product_f32){rows, shape.value_size, keys, &a, &b, pack_a_f32, pack_b_f32, 1, false, results, shape.value_size},
                   panels);
      for (int64_t row = 0; row < rows; row++) {
        float *target = y + (token + row / group) * shape.y_stride + (kv_head * group + row % group) * shape.value_size;
        for (int64_t i = 0; i < shape.value_size; i++) target[i] = results[row * shape.value_size + i] * factors[row];
      }
    }
  }
  return 0;
}

#endif
