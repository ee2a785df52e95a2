// The search for Q3_K without importance: make_q3_quants of ggml-quants.c (llama.cpp v0.5.0). Instead of trying scales it
// rounds once and then moves one code at a time to where the fit of all the others wants it.
#ifndef QUERN_SEARCH_SYMMETRIC_DESCENT_H
#define QUERN_SEARCH_SYMMETRIC_DESCENT_H

#include "search/symmetric.h"

// Of one block: elements and codes, and what they add to the two sums. Between `low` and `high`, what the others want rounds to
// the code.
typedef struct {
  vf x, code, code_x, code_squared, low, high;
} descent_element;

// Between tests of bounds and roundings there is room for errors of the tests.
#define DESCENT_MARGIN 0.499f

INLINE void descent_set_code(float bound, descent_element *element, vf code) {
  vf weight = element->x * element->x;
  element->code = code;
  element->low = vselect(vgt(code, vsplat(-bound)), code - DESCENT_MARGIN, vsplat(-ROUND_LIMIT));
  element->high = vselect(vlt(code, vsplat(bound - 1)), code + DESCENT_MARGIN, vsplat(ROUND_LIMIT));
  element->code_x = weight * element->x * code;
  element->code_squared = weight * code * code;
}

// Looks once at one element of a block, given the sums of all. False where its code stays in all lanes. bounded: products neither
// overflow nor underflow where it matters, so that `low` and `high` tell.
INLINE bool descent_move(float bound, bool bounded, descent_element *element, vf *code_x, vf *code_squared) {
  const vf zero = {0};
  vf other_x = *code_x - element->code_x, other_squared = *code_squared - element->code_squared;
  vf weighted_squared = element->x * other_squared;
  vm leaves = vlt(weighted_squared, element->low * other_x) | vgt(weighted_squared, element->high * other_x);
  // Most codes stay, and then the next ones need not wait for sums that are the same as before.
  if (bounded && !vany(leaves & vgt(other_x, zero))) return false;
  vf moved_code = vclamp(vnearest(weighted_squared / other_x), -bound, bound - 1);
  descent_element moved = *element;
  descent_set_code(bound, &moved, moved_code);
  vf new_x = other_x + moved.code_x, new_squared = other_squared + moved.code_squared;
  vm better = vgt(other_x, zero) & vmask_not(veq(moved_code, element->code));
  better &= vgt(new_squared, zero) & vgt(new_x * new_x * *code_squared, *code_x * *code_x * new_squared);
  if (!vany(better)) return false;
  element->code = vselect(better, moved.code, element->code);
  element->low = vselect(better, moved.low, element->low);
  element->high = vselect(better, moved.high, element->high);
  element->code_x = vselect(better, moved.code_x, element->code_x);
  element->code_squared = vselect(better, moved.code_squared, element->code_squared);
  *code_x = vselect(better, new_x, *code_x);
  *code_squared = vselect(better, new_squared, *code_squared);
  return true;
}

// Looks at the elements again and again, up to ROUNDS times, until nothing has moved since each was looked at last.
INLINE void descent_move_all(int count, float bound, bool bounded, descent_element *elements, vf *code_x, vf *code_squared) {
  enum { ROUNDS = 5 };
  int last_moved = count - 1;
  for (int round = 0; round < ROUNDS && last_moved >= 0; round++) {
    int end = last_moved + 1;
    last_moved = -1;
    for (int i = 0; i < end; i++) {
      if (!descent_move(bound, bounded, &elements[i], code_x, code_squared)) continue;
      last_moved = i;
      end = count;
    }
  }
}

// Blocks of 16. codes: count x STREAMS vectors of codes from -bound to bound - 1, and -bound for blocks of zeros.
NOINLINE void symmetric_descent_16(float bound, const vf *x, vf *codes, vf *scale) {
  enum { COUNT = 16 };
  vf extreme[STREAMS];
  vm zeros[STREAMS];
  const vf zero = {0};
  symmetric_extreme(COUNT, x, extreme, zeros);
  EACH_STREAM {
    descent_element elements[COUNT];
    vf code_scale = -bound / extreme[s], size = vabs(extreme[s]), code_x = zero, code_squared = zero;
    for (int i = 0; i < COUNT; i++) {
      elements[i].x = x[s * COUNT + i];
      descent_set_code(bound, &elements[i], vclamp(vround(code_scale * elements[i].x), -bound, bound - 1));
      code_x += elements[i].code_x;
      code_squared += elements[i].code_squared;
    }
    // Whether nothing overflows, and nothing underflows that matters: others of a sum that are not zero make at least 2^-24 of it.
    bool bounded = vall(vgt(size, vsplat(0x1p-20f)) & vlt(size, vsplat(0x1p20f)));
    descent_move_all(COUNT, bound, bounded, elements, &code_x, &code_squared);
    for (int i = 0; i < COUNT; i++) codes[s * COUNT + i] = vselect(zeros[s], vsplat(-bound), elements[i].code);
    vf quotient = vselect(vgt(code_squared, zero), code_x / code_squared, zero);
    scale[s] = vselect(zeros[s], zero, quotient);
  }
}

#endif
