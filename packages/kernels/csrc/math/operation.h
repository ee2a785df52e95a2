// What an operation on matrices is to the entry points: a function over arrays and numbers, whose meaning it shares with
// src/math/math-kernels.ts alone.
#ifndef QUERN_MATH_OPERATION_H
#define QUERN_MATH_OPERATION_H

#include <stddef.h>

#include "kernel.h"

#define QUERN_MOST_ARRAYS 12
#define QUERN_MOST_NUMBERS 24

typedef struct {
  const double *numbers; // counts are whole; strides are in elements
  void *const *arrays;   // NULL for one that was left out; aligned for their elements unless a comment says otherwise
  uint8_t *scratch;      // 64-byte aligned
  const quern_type *types;
} quern_call;

typedef struct {
  const char *name;
  // Bytes of scratch that a call with these numbers takes.
  int64_t (*scratch_bytes)(const double *numbers);
  // What it returns has a meaning for some operations only.
  double (*run)(const quern_call *call);
} quern_operation;

// All of them, compiled for one instruction set.
typedef struct {
  int32_t count;
  const quern_operation *operations;
} quern_math;

#define ALIGNED_BYTES(bytes) (((int64_t)(bytes) + 63) / 64 * 64)

#endif
