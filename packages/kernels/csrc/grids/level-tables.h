// Values of the elements of codes with 2 bits per level (grids/grid.h), one code in each lane: tables of three floats for each
// element, looked up by that element's bits. Every quarter of a vector (four lanes) has tables of its own.
#ifndef QUERN_GRIDS_LEVEL_TABLES_H
#define QUERN_GRIDS_LEVEL_TABLES_H

#include "vec.h"

#if defined(__SSE2__) && !defined(__AVX2__)

// Without lookups in registers: the first value, and in which bits the second and the third one differ from it.
typedef struct {
  vi first, second, third;
} level_table;

#else

// The values, in the lanes of each quarter.
typedef vf level_table;

#endif

// Tables of four elements, each lane of a quarter being one, from their values at levels 0, 1 and 2.
INLINE void level_tables_of(vf first, vf second, vf third, level_table *tables) {
#if defined(__SSE2__) && !defined(__AVX2__)
  for (int i = 0; i < 4; i++) {
    vf values[3] = {vsplat(first[i]), vsplat(second[i]), vsplat(third[i])};
    tables[i] = (level_table){(vi)values[0], (vi)values[0] ^ (vi)values[1], (vi)values[0] ^ (vi)values[2]};
  }
#else
  vf lower = vzip_low_quarters(first, second), upper = vzip_high_quarters(first, second);
  tables[0] = vshuffle_quarters(lower, third, 0, 1, 0, 0);
  tables[1] = vshuffle_quarters(lower, third, 2, 3, 1, 1);
  tables[2] = vshuffle_quarters(upper, third, 0, 1, 2, 2);
  tables[3] = vshuffle_quarters(upper, third, 2, 3, 3, 3);
#endif
}

#if defined(__SSE2__)

// A code in each lane.
typedef vi level_codes;
INLINE level_codes level_codes_of(vi codes) { return codes; }

#else

// Lookups by bytes: the lower and the upper byte of each code in all four bytes of its lane.
typedef struct {
  vi lower, upper;
} level_codes;

typedef int8_t vbytes __attribute__((vector_size(16)));

INLINE level_codes level_codes_of(vi codes) {
  vbytes b = (vbytes)codes;
  return (level_codes){(vi)__builtin_shufflevector(b, b, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                       (vi)__builtin_shufflevector(b, b, 1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13)};
}

#endif

// element is a constant from 0 to 7.
INLINE vf level_value(level_table table, level_codes codes, int element) {
#if defined(__AVX512F__)
  return (vf)_mm512_permutevar_ps((__m512)table, (__m512i)(codes >> 2 * element));
#elif defined(__AVX2__)
  return (vf)_mm256_permutevar_ps((__m256)table, (__m256i)(codes >> 2 * element));
#elif defined(__SSE2__)
  vi low = codes << (31 - 2 * element) >> 31, high = codes << (30 - 2 * element) >> 31;
  return (vf)(table.first ^ (low & table.second) ^ (high & table.third));
#else
  vi half = element < 4 ? codes.lower : codes.upper;
  int up = 2 - element % 4 * 2;
  vi at = ((up > 0 ? half << up : half >> -up) & 0x0c0c0c0c) | 0x03020100;
#if defined(__wasm_simd128__)
  return (vf)wasm_i8x16_swizzle((v128_t)table, (v128_t)at);
#else
  return (vf)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)at);
#endif
#endif
}

#endif
