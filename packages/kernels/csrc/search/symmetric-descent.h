// The search for Q3_K without importance: make_q3_quants of ggml-quants.c (llama.cpp v0.5.0). Instead of trying scales it
// rounds once and then moves one code at a time to where the fit of all the others wants it.
#ifndef QUERN_SEARCH_SYMMETRIC_DESCENT_H
#define QUERN_SEARCH_SYMMETRIC_DESCENT_H

#include "search/symmetric.h"

// Of one block: elements and codes, and what they add to the two sums.
typedef struct {
  vf x, code, code_x, code_squared;
} descent_element;

INLINE void descent_set_code(descent_element *element, vf code) {
  vf weight = element->x * element->x;
  element->code = code;
  element->code_x = weight * element->x * code;
  element->code_squared = weight * code * code;
}

// Blocks of 16. codes: count x STREAMS vectors of codes from -bound to bound - 1, and -bound for blocks of zeros.
NOINLINE void symmetric_descent_16(float bound, const vf *x, vf *codes, vf *scale) {
  enum { COUNT = 16, ROUNDS = 5 };
  vf extreme[STREAMS], code_x[STREAMS] = {0}, code_squared[STREAMS] = {0};
  descent_element elements[STREAMS * COUNT];
  vm zeros[STREAMS];
  const vf zero = {0};
  symmetric_extreme(COUNT, x, extreme, zeros);
  EACH_STREAM {
    vf code_scale = -bound / extreme[s];
    for (int i = s * COUNT; i < (s + 1) * COUNT; i++) {
      elements[i].x = x[i];
      descent_set_code(&elements[i], vclamp(vround(code_scale * x[i]), -bound, bound - 1));
      code_x[s] += elements[i].code_x;
      code_squared[s] += elements[i].code_squared;
    }
  }

  // A round that changes nothing in a block is the last one for it; more rounds do it no harm.
  bool changed = true;
  for (int round = 0; round < ROUNDS && changed; round++) {
    changed = false;
    for (int i = 0; i < COUNT; i++) EACH_STREAM {
      descent_element *element = &elements[s * COUNT + i];
      vf other_x = code_x[s] - element->code_x, other_squared = code_squared[s] - element->code_squared;
      vf moved_code = vclamp(vnearest(element->x * other_squared / other_x), -bound, bound - 1);
      vm better = vgt(other_x, zero) & vmask_not(veq(moved_code, element->code));
      // Most codes stay, and then the next ones need not wait for sums that are the same as before.
      if (!vany(better)) continue;
      descent_element moved = *element;
      descent_set_code(&moved, moved_code);
      vf new_x = other_x + moved.code_x, new_squared = other_squared + moved.code_squared;
      better &= vgt(new_squared, zero) & vgt(new_x * new_x * code_squared[s], code_x[s] * code_x[s] * new_squared);
      element->code = vselect(better, moved.code, element->code);
      element->code_x = vselect(better, moved.code_x, element->code_x);
      element->code_squared = vselect(better, moved.code_squared, element->code_squared);
      code_x[s] = vselect(better, new_x, code_x[s]);
      code_squared[s] = vselect(better, new_squared, code_squared[s]);
      changed |= vany(better);
    }
  }
  EACH_STREAM {
    for (int i = s * COUNT; i < (s + 1) * COUNT; i++) codes[i] = vselect(zeros[s], vsplat(-bound), elements[i].code);
    vf quotient = vselect(vgt(code_squared[s], zero), code_x[s] / code_squared[s], zero);
    scale[s] = vselect(zeros[s], zero, quotient);
  }
}

#endif
