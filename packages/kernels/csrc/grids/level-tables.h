// Values of the elements of codes with 2 bits per level (grids/grid.h), one code in each lane: a table of four floats per element,
// looked up by that element's bits.
#ifndef QUERN_GRIDS_LEVEL_TABLES_H
#define QUERN_GRIDS_LEVEL_TABLES_H

#include "vec.h"

#if defined(__AVX2__) || defined(__AVX512F__)

// All four floats in each 128 bits.
typedef vf level_table;
typedef vi level_codes;

INLINE level_table level_table_load(const float *values) {
#if defined(__AVX512F__)
  return (vf)_mm512_broadcast_f32x4(_mm_loadu_ps(values));
#else
  return (vf)_mm256_broadcast_ps((const __m128 *)values);
#endif
}
INLINE level_codes level_codes_of(vi codes) { return codes; }

// element is a constant from 0 to 7.
INLINE vf level_value(level_table table, level_codes codes, int element) {
#if defined(__AVX512F__)
  return (vf)_mm512_permutevar_ps((__m512)table, (__m512i)(codes >> 2 * element));
#else
  return (vf)_mm256_permutevar_ps((__m256)table, (__m256i)(codes >> 2 * element));
#endif
}

#elif defined(__SSE2__)

// Without lookups in registers: the first value, and in which bits the second and the third one differ from it.
typedef struct {
  vi first, second, third;
} level_table;
typedef vi level_codes;

INLINE level_table level_table_load(const float *values) {
  vi first = (vi)vsplat(values[0]);
  return (level_table){first, first ^ (vi)vsplat(values[1]), first ^ (vi)vsplat(values[2])};
}
INLINE level_codes level_codes_of(vi codes) { return codes; }
INLINE vf level_value(level_table table, level_codes codes, int element) {
  vi low = codes << (31 - 2 * element) >> 31, high = codes << (30 - 2 * element) >> 31;
  return (vf)(table.first ^ (low & table.second) ^ (high & table.third));
}

#else

// 16 bytes, looked up by bytes.
typedef vi level_table;
// The lower and the upper byte of each code in all four bytes of its lane.
typedef struct {
  vi lower, upper;
} level_codes;

INLINE level_table level_table_load(const float *values) { return (vi)vload(values); }
INLINE level_codes level_codes_of(vi codes) {
  typedef int8_t bytes __attribute__((vector_size(16)));
  bytes b = (bytes)codes;
  return (level_codes){(vi)__builtin_shufflevector(b, b, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                       (vi)__builtin_shufflevector(b, b, 1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13)};
}
INLINE vf level_value(level_table table, level_codes codes, int element) {
  vi half = element < 4 ? codes.lower : codes.upper;
  int up = 2 - element % 4 * 2;
  vi at = ((up > 0 ? half << up : half >> -up) & 0x0c0c0c0c) | 0x03020100;
#if defined(__wasm_simd128__)
  return (vf)wasm_i8x16_swizzle((v128_t)table, (v128_t)at);
#else
  return (vf)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)at);
#endif
}

#endif

#endif
