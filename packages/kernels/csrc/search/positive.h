// The search for one scale of values >= 0, value = scale * code, which importance-weighted K types use on the scales and
// minimums of their sub-blocks: make_qp_quants of ggml-quants.c (llama.cpp v0.5.0).
#ifndef QUERN_SEARCH_POSITIVE_H
#define QUERN_SEARCH_POSITIVE_H

#include "search/lanes.h"

// Codes are stored as unsigned bytes: what a (slightly) negative value rounds to wraps around.
INLINE vf vwrap_uint8(vf code) { return (vf)(((vi)(code + ROUND_MAGIC) & 0xff) | 0x4b000000) - 0x1p23f; }

// count is 8 or 16. codes: count x STREAMS vectors of integers from 0 to 255.
NOINLINE void positive_search(int count, float max_code, const vf *values, const vf *weights, vf *codes, vf *scale) {
  enum { ROUNDS = 5 };
  const vf zero = {0}, top = vsplat(max_code);
  vf largest[STREAMS], inverse[STREAMS] = {0}, best[STREAMS] = {0}, code_x[STREAMS] = {0}, code_squared[STREAMS] = {0};
  EACH_STREAM {
    largest[s] = zero;
    for (int i = 0; i < count; i++) largest[s] = vmax(largest[s], values[s * count + i]);
  }

  // The plain inverse scale first, then eight around it, in tenths of a code.
  for (int attempt = 0; attempt <= 8; attempt++) {
    int tenths = attempt == 0 ? 0 : attempt <= 4 ? attempt - 5 : attempt - 4;
    float width = 0.1f * (float)tenths + max_code;
    EACH_STREAM {
      vf new_inverse = width / largest[s], new_scale = 1.0f / new_inverse, error = {0};
      for (int i = 0; i < count; i++) {
        vf value = values[s * count + i], code = vnearest(new_inverse * value);
        code = attempt == 0 ? vwrap_uint8(code) : vmin(code, top);
        vf difference = value - new_scale * code;
        error += weights[s * count + i] * difference * difference;
      }
      if (attempt == 0) {
        best[s] = error;
        inverse[s] = new_inverse;
      } else {
        vm better = vlt(error, best[s]);
        best[s] = vselect(better, error, best[s]);
        inverse[s] = vselect(better, new_inverse, inverse[s]);
      }
    }
  }

  for (int i = 0; i < count; i++) EACH_STREAM {
    int at = s * count + i;
    vf code = vmin(vnearest(inverse[s] * values[at]), top);
    codes[at] = vwrap_uint8(code);
    code_x[s] += weights[at] * values[at] * code;
    code_squared[s] += weights[at] * code * code;
  }

  // Moves one code at a time to where the fit of all the others wants it. A round that changes nothing in a block is the last
  // one for it; more rounds do it no harm.
  bool changed = true;
  for (int round = 0; round < ROUNDS && changed; round++) {
    changed = false;
    for (int i = 0; i < count; i++) EACH_STREAM {
      int at = s * count + i;
      vf code = codes[at], value = values[at], weight = weights[at];
      vf other_x = code_x[s] - weight * value * code;
      vf other_squared = code_squared[s] - weight * code * code;
      vf moved = vmin(vnearest(value * other_squared / other_x), top);
      vm better = vgt(other_x, zero) & vgt(other_squared, zero) & vmask_not(veq(moved, code));
      if (!vany(better)) continue;
      vf new_x = other_x + weight * value * moved;
      vf new_squared = other_squared + weight * moved * moved;
      better &= vgt(new_x * new_x * code_squared[s], code_x[s] * code_x[s] * new_squared);
      codes[at] = vselect(better, vwrap_uint8(moved), code);
      code_x[s] = vselect(better, new_x, code_x[s]);
      code_squared[s] = vselect(better, new_squared, code_squared[s]);
      changed |= vany(better);
    }
  }
  EACH_STREAM {
    vm zeros = vlt(largest[s], vsplat(GROUP_MAX_EPS));
    for (int i = 0; i < count; i++) codes[s * count + i] = vselect(zeros, zero, codes[s * count + i]);
    scale[s] = vselect(zeros, zero, vselect(vgt(code_squared[s], zero), code_x[s] / code_squared[s], zero));
  }
}

#endif
