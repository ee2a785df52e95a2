// Tables of 32 small integers, of which every lane takes one.
#ifndef QUERN_LOOKUP_H
#define QUERN_LOOKUP_H

#include "vec.h"

typedef struct {
#if defined(__AVX512F__)
  __m512 first, second;
#elif defined(__AVX2__)
  __m256i first, second;
#elif defined(__wasm_simd128__)
  v128_t first, second;
#elif defined(__aarch64__)
  int8x16x2_t entries;
#else
  const int8_t *entries;
#endif
} vtable;

// Entries 0 ... 15, then -16 ... -1. They must outlive the table.
INLINE vtable vtable_of(const int8_t *entries) {
#if defined(__AVX512F__)
  return (vtable){_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i_u *)entries))),
                  _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i_u *)(entries + 16))))};
#elif defined(__AVX2__)
  return (vtable){_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i_u *)entries)),
                  _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i_u *)(entries + 16)))};
#elif defined(__wasm_simd128__)
  return (vtable){wasm_v128_load(entries), wasm_v128_load(entries + 16)};
#elif defined(__aarch64__)
  return (vtable){{{vld1q_s8(entries), vld1q_s8(entries + 16)}}};
#else
  return (vtable){entries};
#endif
}

// The entries at these indices, of which only the low eight bits count: as signed integers they are from -16 to 15.
//
// Where bytes are looked up, the entry goes to the upper byte of a lane. Bytes with an index out of range become 0: the lower
// three, and one of the two halves of the table.
INLINE vf vlook_up(const vtable *table, vi index) {
#if defined(__AVX512F__)
  return (vf)_mm512_permutex2var_ps(table->first, (__m512i)index, table->second);
#elif defined(__AVX2__)
  vi first = index << 24 | 0x00808080, second = first ^ (int32_t)0x80000000;
  vi bytes = (vi)_mm256_shuffle_epi8(table->first, (__m256i)first) | (vi)_mm256_shuffle_epi8(table->second, (__m256i)second);
  return __builtin_convertvector(bytes >> 24, vf);
#elif defined(__wasm_simd128__)
  vi first = index << 24 | 0x00808080, second = first + 0x10000000;
  vi bytes = (vi)wasm_i8x16_swizzle(table->first, (v128_t)first) | (vi)wasm_i8x16_swizzle(table->second, (v128_t)second);
  return __builtin_convertvector(bytes >> 24, vf);
#elif defined(__aarch64__)
  vi bytes = (vi)vqtbl2q_s8(table->entries, (uint8x16_t)((index & 31) << 24 | 0x00ffffff));
  return __builtin_convertvector(bytes >> 24, vf);
#else
  vf values;
  for (int lane = 0; lane < VEC_LANES; lane++) values[lane] = table->entries[index[lane] & 31];
  return values;
#endif
}

#endif
