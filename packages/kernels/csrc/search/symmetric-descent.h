// The search for Q3_K without importance: make_q3_quants of ggml-quants.c (llama.cpp v0.5.0). Instead of trying scales it
// rounds once and then moves one code at a time to where the fit of all the others wants it.
#ifndef QUERN_SEARCH_SYMMETRIC_DESCENT_H
#define QUERN_SEARCH_SYMMETRIC_DESCENT_H

#include "search/symmetric.h"

// Blocks of 16. codes: count x STREAMS vectors of codes from -bound to bound - 1, and -bound for blocks of zeros.
NOINLINE void symmetric_descent_16(float bound, const vf *x, vf *codes, vf *scale) {
  enum { COUNT = 16, ROUNDS = 5 };
  vf extreme[STREAMS], code_x[STREAMS] = {0}, code_squared[STREAMS] = {0};
  vf weights[STREAMS * COUNT], weighted_x[STREAMS * COUNT];
  vm zeros[STREAMS];
  const vf zero = {0};
  symmetric_extreme(COUNT, x, extreme, zeros);
  for (int i = 0; i < COUNT; i++) EACH_STREAM {
    int at = s * COUNT + i;
    weights[at] = x[at] * x[at];
    weighted_x[at] = weights[at] * x[at];
    codes[at] = vclamp(vround(-bound / extreme[s] * x[at]), -bound, bound - 1);
    code_x[s] += weighted_x[at] * codes[at];
    code_squared[s] += weights[at] * codes[at] * codes[at];
  }

  // A round that changes nothing in a block is the last one for it; more rounds do it no harm.
  for (int round = 0; round < ROUNDS; round++) {
    vm changed = vlt(zero, zero);
    for (int i = 0; i < COUNT; i++) EACH_STREAM {
      int at = s * COUNT + i;
      vf code = codes[at];
      vf other_x = code_x[s] - weighted_x[at] * code;
      vf other_squared = code_squared[s] - weights[at] * code * code;
      vf moved = vclamp(vnearest(x[at] * other_squared / other_x), -bound, bound - 1);
      vm better = vgt(other_x, zero) & vmask_not(veq(moved, code));
      // Most codes stay, and then the next ones need not wait for sums that are the same as before.
      if (!vany(better)) continue;
      vf new_x = other_x + weighted_x[at] * moved;
      vf new_squared = other_squared + weights[at] * moved * moved;
      better &= vgt(new_squared, zero) & vgt(new_x * new_x * code_squared[s], code_x[s] * code_x[s] * new_squared);
      codes[at] = vselect(better, moved, code);
      code_x[s] = vselect(better, new_x, code_x[s]);
      code_squared[s] = vselect(better, new_squared, code_squared[s]);
      changed |= better;
    }
    if (!vany(changed)) break;
  }
  EACH_STREAM {
    for (int i = 0; i < COUNT; i++) codes[s * COUNT + i] = vselect(zeros[s], vsplat(-bound), codes[s * COUNT + i]);
    vf quotient = vselect(vgt(code_squared[s], zero), code_x[s] / code_squared[s], zero);
    scale[s] = vselect(zeros[s], zero, quotient);
  }
}

#endif
