// activate: y = f(x), or y = f(x) * up. Numbers: count, which function. Arrays: x, y, up or none (float).
// addScaled: y += alpha * x. Numbers: count, alpha. Arrays: x, y.
// addBias: adds a row to all rows. Numbers: rows, columns. Arrays: y, bias.
#ifndef QUERN_MATH_ELEMENTWISE_H
#define QUERN_MATH_ELEMENTWISE_H

#include "math/functions.h"
#include "math/operation.h"

// In the order of ACTIVATIONS in src/math/rows.ts.
enum { SILU, GELU, GELU_TANH, GELU_QUICK, RELU, RELU_SQUARED, SIGMOID, TANH };

INLINE vf vrelu(vf x) { return vselect(vlt(x, (vf){0}), (vf){0}, x); }

INLINE vf activation(int32_t kind, vf x) {
  switch (kind) {
  case SILU: return x * vsigmoid(x);
  case GELU: return vgelu(x);
  // 0.5 (1 + tanh(u)) is the sigmoid of 2u (Hendrycks and Gimpel 2016, "Gaussian Error Linear Units").
  case GELU_TANH: return x * vsigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x));
  case GELU_QUICK: return x * vsigmoid(1.702f * x);
  case RELU: return vrelu(x);
  case RELU_SQUARED: return vrelu(x) * vrelu(x);
  case SIGMOID: return vsigmoid(x);
  default: return vtanh(x);
  }
}

INLINE void activate_all(int32_t kind, const float *x, float *y, const float *up, int64_t count) {
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) {
    vf value = activation(kind, vload(x + i));
    vstore(y + i, up ? value * vload(up + i) : value);
  }
  int64_t rest = count - i;
  vf value = activation(kind, vload_part(x + i, rest));
  vstore_part(y + i, up ? value * vload_part(up + i, rest) : value, rest);
}

static double run_activate(const quern_call *call) {
  int64_t count = (int64_t)call->numbers[0];
  const float *x = call->arrays[0], *up = call->arrays[2];
  float *y = call->arrays[1];
#define ACTIVATE(kind) case kind: activate_all(kind, x, y, up, count); break
  switch ((int32_t)call->numbers[1]) {
    ACTIVATE(SILU);
    ACTIVATE(GELU);
    ACTIVATE(GELU_TANH);
    ACTIVATE(GELU_QUICK);
    ACTIVATE(RELU);
    ACTIVATE(RELU_SQUARED);
    ACTIVATE(SIGMOID);
    ACTIVATE(TANH);
  }
#undef ACTIVATE
  return 0;
}

static double run_add_scaled(const quern_call *call) {
  int64_t count = (int64_t)call->numbers[0];
  float alpha = (float)call->numbers[1];
  const float *x = call->arrays[0];
  float *y = call->arrays[1];
  for (int64_t i = 0; i < count; i++) y[i] += alpha * x[i];
  return 0;
}

static double run_add_bias(const quern_call *call) {
  int64_t rows = (int64_t)call->numbers[0], columns = (int64_t)call->numbers[1];
  float *y = call->arrays[0];
  const float *bias = call->arrays[1];
  for (int64_t row = 0; row < rows; row++, y += columns) {
    for (int64_t i = 0; i < columns; i++) y[i] += bias[i];
  }
  return 0;
}

#endif
