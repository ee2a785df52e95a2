// rope: turns pairs of elements by angles given as cosines and sines.
// Numbers: tokens, heads, head size, elements that turn, x's stride, pairs are halves?
// Arrays: x (float), cos and sin (float, tokens x half the elements that turn).
#ifndef QUERN_MATH_ROPE_H
#define QUERN_MATH_ROPE_H

#include "math/lanes.h"
#include "math/operation.h"

// Pairs (i, i + pairs).
INLINE void turn_halves(float *head, int64_t pairs, const float *cosines, const float *sines) {
  int64_t i = 0;
  for (; i + VEC_LANES <= pairs; i += VEC_LANES) {
    vf a = vload(head + i), b = vload(head + pairs + i), cosine = vload(cosines + i), sine = vload(sines + i);
    vstore(head + i, a * cosine - b * sine);
    vstore(head + pairs + i, b * cosine + a * sine);
  }
  for (; i < pairs; i++) {
    float a = head[i], b = head[pairs + i];
    head[i] = a * cosines[i] - b * sines[i];
    head[pairs + i] = b * cosines[i] + a * sines[i];
  }
}

// Pairs (2i, 2i + 1).
INLINE void turn_neighbours(float *head, int64_t pairs, const float *cosines, const float *sines) {
  for (int64_t i = 0; i < pairs; i++) {
    float a = head[2 * i], b = head[2 * i + 1];
    head[2 * i] = a * cosines[i] - b * sines[i];
    head[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

static double run_rope(const quern_call *call) {
  const double *n = call->numbers;
  int64_t tokens = (int64_t)n[0], heads = (int64_t)n[1], head_size = (int64_t)n[2], pairs = (int64_t)n[3] / 2;
  float *x = call->arrays[0];
  const float *cosines = call->arrays[1], *sines = call->arrays[2];
  for (int64_t token = 0; token < tokens; token++, x += (int64_t)n[4], cosines += pairs, sines += pairs) {
    for (int64_t head = 0; head < heads; head++) {
      if (n[5] != 0) turn_halves(x + head * head_size, pairs, cosines, sines);
      else turn_neighbours(x + head * head_size, pairs, cosines, sines);
    }
  }
  return 0;
}

#endif
