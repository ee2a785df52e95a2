// Portable vectors: VEC_LANES floats (vf) or 32-bit integers (vi) and masks of lanes (vm).
//
// The same source serves SSE2, AVX2, AVX-512, NEON and Wasm simd128. Arithmetic uses the compilers' vector extensions (a + b,
// a * b, v << 4, ...), each of which is one IEEE operation per lane; the functions here are what the extensions lack. All of
// them are exact, and defined alike on every instruction set unless their comment says otherwise.
#ifndef QUERN_VEC_H
#define QUERN_VEC_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VEC_LANES 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define VEC_LANES 8
#elif defined(__SSE2__)
#include <emmintrin.h>
#define VEC_LANES 4
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define VEC_LANES 4
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define VEC_LANES 4
#else
#error "no vector instructions that vec.h knows"
#endif

#define INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(4 * VEC_LANES)));
typedef int32_t vi __attribute__((vector_size(4 * VEC_LANES)));
// For memory without alignment that may be accessed as another type.
typedef float vf_memory __attribute__((vector_size(4 * VEC_LANES), aligned(1), may_alias));
typedef uint16_t vu16 __attribute__((vector_size(2 * VEC_LANES)));
typedef uint16_t vu16_memory __attribute__((vector_size(2 * VEC_LANES), aligned(1), may_alias));

// ---- Load, store, splat

INLINE vf vload(const float *source) { return *(const vf_memory *)source; }
INLINE void vstore(float *target, vf value) { *(vf_memory *)target = value; }
// VEC_LANES 16-bit integers: zero-extended; the low 16 bits of each lane.
INLINE vi vload_u16(const uint8_t *source) { return __builtin_convertvector((vu16) * (const vu16_memory *)source, vi); }
INLINE void vstore_u16(uint8_t *target, vi value) { *(vu16_memory *)target = __builtin_convertvector(value, vu16); }
// VEC_LANES bytes: zero-extended; sign-extended.
INLINE vi vload_u8(const uint8_t *source) {
#if defined(__AVX512F__)
  return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)source));
#elif defined(__AVX2__)
  return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)source));
#elif defined(__wasm_simd128__)
  return (vi)wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(source)));
#else
  int32_t word;
  __builtin_memcpy(&word, source, sizeof word);
#if defined(__SSE2__)
  __m128i zeros = _mm_setzero_si128();
  return (vi)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(word), zeros), zeros);
#else
  return (vi)vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8((uint32_t)word))));
#endif
#endif
}
INLINE vi vload_i8(const uint8_t *source) {
#if defined(__AVX512F__)
  return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i_u *)source));
#elif defined(__AVX2__)
  return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)source));
#elif defined(__SSE2__)
  int32_t word;
  __builtin_memcpy(&word, source, sizeof word);
  __m128i bytes = _mm_cvtsi32_si128(word), shorts = _mm_unpacklo_epi8(bytes, bytes);
  return (vi)_mm_unpacklo_epi16(shorts, shorts) >> 24;
#elif defined(__wasm_simd128__)
  return (vi)wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(source)));
#else
  return vload_u8(source) << 24 >> 24;
#endif
}
// first, first + 1, ...
INLINE vi vsequence(int32_t first) {
#if VEC_LANES == 16
  return first + (vi){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif VEC_LANES == 8
  return first + (vi){0, 1, 2, 3, 4, 5, 6, 7};
#else
  return first + (vi){0, 1, 2, 3};
#endif
}
// Subtracting +0 keeps every value, -0 included.
INLINE vf vsplat(float value) { return value - (vf){0}; }
INLINE vi vsplat_int(int32_t value) { return value - (vi){0}; }

// ---- Masks

#if defined(__AVX512F__)
typedef __mmask16 vm;
INLINE vm vlt(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
INLINE vm veq(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE vm vlt_int(vi a, vi b) { return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b); }
INLINE vm veq_int(vi a, vi b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
INLINE vm vmask_not(vm m) { return (vm)~m; }
INLINE uint32_t vmask_bits(vm m) { return m; }
INLINE vf vselect(vm m, vf yes, vf no) { return (vf)_mm512_mask_blend_ps(m, (__m512)no, (__m512)yes); }
INLINE vm vmask_of(uint32_t bits) { return (vm)bits; }
INLINE vi vselect_int(vm m, vi yes, vi no) { return (vi)_mm512_mask_blend_epi32(m, (__m512i)no, (__m512i)yes); }
#else
typedef vi vm;
INLINE vm vlt(vf a, vf b) { return (vm)(a < b); }
INLINE vm veq(vf a, vf b) { return (vm)(a == b); }
INLINE vm vlt_int(vi a, vi b) { return (vm)(a < b); }
INLINE vm veq_int(vi a, vi b) { return (vm)(a == b); }
INLINE vm vmask_not(vm m) { return ~m; }
// One bit per lane, lane 0 lowest; there may be others above.
INLINE vm vmask_of(uint32_t bits) {
  vi lanes = 1 << vsequence(0);
  return veq_int(vsplat_int((int32_t)bits) & lanes, lanes);
}
// One bit per lane, lane 0 lowest.
INLINE uint32_t vmask_bits(vm m) {
#if defined(__AVX2__)
  return (uint32_t)_mm256_movemask_ps((__m256)m);
#elif defined(__SSE2__)
  return (uint32_t)_mm_movemask_ps((__m128)m);
#elif defined(__wasm_simd128__)
  return wasm_i32x4_bitmask((v128_t)m);
#else
  return vaddvq_u32(vandq_u32((uint32x4_t)m, (uint32x4_t){1, 2, 4, 8}));
#endif
}
INLINE vi vselect_int(vm m, vi yes, vi no) {
#if defined(__AVX2__)
  // By the sign of each lane: GCC compares the mask with 0 once more before it blends bytes.
  return (vi)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)m);
#elif defined(__wasm_simd128__)
  return (vi)wasm_v128_bitselect((v128_t)yes, (v128_t)no, (v128_t)m);
#elif defined(__SSE2__)
  return (yes & m) | (no & ~m);
#else
  return (vi)vbslq_s32((uint32x4_t)m, (int32x4_t)yes, (int32x4_t)no);
#endif
}
INLINE vf vselect(vm m, vf yes, vf no) { return (vf)vselect_int(m, (vi)yes, (vi)no); }
#endif

// 1 in lanes of the mask, 0 elsewhere.
INLINE vi vone_where(vm m) {
#if defined(__AVX512F__)
  return (vi)_mm512_maskz_set1_epi32(m, 1);
#else
  return -(vi)m;
#endif
}

// Comparisons are false when a lane holds NaN. Masks combine with & and |.
INLINE vm vgt(vf a, vf b) { return vlt(b, a); }
INLINE bool vany(vm m) { return vmask_bits(m) != 0; }
INLINE vm vmask_all(void) { return veq((vf){0}, (vf){0}); }
INLINE bool vall(vm m) { return vmask_bits(m) == (1u << VEC_LANES) - 1; }

// a with these bits flipped where m is set: a choice between two values in one or two instructions.
INLINE vf vflip(vm m, vf a, vi bits) {
#if defined(__AVX512F__)
  return (vf)_mm512_mask_xor_epi32((__m512i)a, m, (__m512i)a, (__m512i)bits);
#else
  return (vf)((vi)a ^ (bits & m));
#endif
}

// One more where m is set.
INLINE vi vcount(vi count, vm m) {
#if defined(__AVX512F__)
  return (vi)_mm512_mask_add_epi32((__m512i)count, m, (__m512i)count, _mm512_set1_epi32(1));
#else
  return count - m;
#endif
}

// ---- Arithmetic

INLINE vf vabs(vf a) { return (vf)((vi)a & 0x7fffffff); }

// a < b ? a : b, so b when either is NaN.
INLINE vf vmin(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (vf)_mm_min_ps((__m128)a, (__m128)b);
#elif defined(__wasm_simd128__)
  return (vf)wasm_f32x4_pmin((v128_t)b, (v128_t)a);
#else
  return vselect(vlt(a, b), a, b);
#endif
}

// a > b ? a : b, so b when either is NaN.
INLINE vf vmax(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (vf)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__wasm_simd128__)
  return (vf)wasm_f32x4_pmax((v128_t)b, (v128_t)a);
#else
  return vselect(vgt(a, b), a, b);
#endif
}

INLINE vi vmax_int(vi a, vi b) { return vselect_int(vlt_int(b, a), a, b); }

INLINE vf vsqrt(vf a) {
#if defined(__AVX512F__)
  return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
  return (vf)_mm_sqrt_ps((__m128)a);
#elif defined(__wasm_simd128__)
  return (vf)wasm_f32x4_sqrt((v128_t)a);
#else
  return (vf)vsqrtq_f32((float32x4_t)a);
#endif
}

// ---- Integers and floats

// Adding and subtracting this rounds |a| < 2^22 to the nearest integer, ties to even (1.5 * 2^23).
#define ROUND_MAGIC 12582912.0f
#define ROUND_MAGIC_BITS 0x4b400000

// Floats that are integers. NaN and |a| >= 2^22 give a value that depends on the instruction set.
INLINE vi vinteger(vf a) {
#if defined(__wasm_simd128__)
  // The conversion itself has to do with values that are out of range, which takes it several instructions.
  return (vi)(a + ROUND_MAGIC) - ROUND_MAGIC_BITS;
#else
  return __builtin_convertvector(a, vi);
#endif
}

// Exact for |a| <= 2^24.
INLINE vf vfloat(vi a) { return __builtin_convertvector(a, vf); }

// Rounds towards zero. NaN and |a| >= 2^22 give a value that depends on the instruction set.
INLINE vi vtruncate(vf a) {
#if defined(__AVX512F__)
  return (vi)_mm512_cvttps_epi32((__m512)a);
#elif defined(__AVX2__)
  return (vi)_mm256_cvttps_epi32((__m256)a);
#elif defined(__SSE2__)
  return (vi)_mm_cvttps_epi32((__m128)a);
#elif defined(__wasm_simd128__)
  return vinteger((vf)wasm_f32x4_trunc((v128_t)a));
#else
  return (vi)vcvtq_s32_f32((float32x4_t)a);
#endif
}

// C's roundf (ties away from zero) for |a| < 2^22: the float below one half cannot carry a value below a tie over it.
INLINE vi vround_away(vf a) {
  vi sign = (vi)a & (int32_t)0x80000000;
  return vtruncate(a + (vf)(sign | (vi)vsplat(0x1.fffffep-2f)));
}

// a rounded to the nearest integer, ties to even; needs |a| < 2^22. The sign of a zero depends on the instruction set.
INLINE vf vround(vf a) {
#if defined(__AVX512F__)
  return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
  return (vf)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__wasm_simd128__)
  return (vf)wasm_f32x4_nearest((v128_t)a);
#elif defined(__aarch64__)
  return (vf)vrndnq_f32((float32x4_t)a);
#else
  return (a + ROUND_MAGIC) - ROUND_MAGIC;
#endif
}

INLINE vf vclamp(vf a, float low, float high) { return vmin(vmax(a, vsplat(low)), vsplat(high)); }

// Low bytes of 16 integers, each in [-128, 127]: 16 / VEC_LANES vectors.
INLINE void vstore_int8(uint8_t *target, const vi *v) {
#if defined(__AVX512F__)
  _mm_storeu_si128((__m128i_u *)target, _mm512_cvtepi32_epi8((__m512i)v[0]));
#elif defined(__AVX2__)
  __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]), 0xd8);
  _mm_storeu_si128((__m128i_u *)target,
                   _mm_packs_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1)));
#elif defined(__SSE2__)
  _mm_storeu_si128((__m128i_u *)target, _mm_packs_epi16(_mm_packs_epi32((__m128i)v[0], (__m128i)v[1]),
                                                        _mm_packs_epi32((__m128i)v[2], (__m128i)v[3])));
#elif defined(__wasm_simd128__)
  wasm_v128_store(target, wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4((v128_t)v[0], (v128_t)v[1]),
                                                  wasm_i16x8_narrow_i32x4((v128_t)v[2], (v128_t)v[3])));
#else
  int16x8_t low = vcombine_s16(vmovn_s32((int32x4_t)v[0]), vmovn_s32((int32x4_t)v[1]));
  int16x8_t high = vcombine_s16(vmovn_s32((int32x4_t)v[2]), vmovn_s32((int32x4_t)v[3]));
  vst1q_s8((int8_t *)target, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
#endif
}

// Low bytes of 16 integers, each in [0, 255]: 16 / VEC_LANES vectors.
INLINE void vstore_uint8(uint8_t *target, const vi *v) {
#if defined(__AVX512F__)
  _mm_storeu_si128((__m128i_u *)target, _mm512_cvtepi32_epi8((__m512i)v[0]));
#elif defined(__AVX2__)
  __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]), 0xd8);
  _mm_storeu_si128((__m128i_u *)target,
                   _mm_packus_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1)));
#elif defined(__SSE2__)
  _mm_storeu_si128((__m128i_u *)target, _mm_packus_epi16(_mm_packs_epi32((__m128i)v[0], (__m128i)v[1]),
                                                         _mm_packs_epi32((__m128i)v[2], (__m128i)v[3])));
#elif defined(__wasm_simd128__)
  wasm_v128_store(target, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4((v128_t)v[0], (v128_t)v[1]),
                                                  wasm_i16x8_narrow_i32x4((v128_t)v[2], (v128_t)v[3])));
#else
  int16x8_t low = vcombine_s16(vmovn_s32((int32x4_t)v[0]), vmovn_s32((int32x4_t)v[1]));
  int16x8_t high = vcombine_s16(vmovn_s32((int32x4_t)v[2]), vmovn_s32((int32x4_t)v[3]));
  vst1q_u8(target, (uint8x16_t)vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
#endif
}

// 16 integers clamped to [0, highest], which is at most 127: 16 / VEC_LANES vectors of less than 2^31 in magnitude.
INLINE void vstore_clamped(uint8_t *target, const vi *v, uint8_t highest) {
#if defined(__AVX512F__)
  __m128i bytes = _mm_max_epi8(_mm512_cvtsepi32_epi8((__m512i)v[0]), _mm_setzero_si128());
  _mm_storeu_si128((__m128i_u *)target, _mm_min_epi8(bytes, _mm_set1_epi8((char)highest)));
#elif defined(__SSE2__)
  vstore_uint8(target, v);
  __m128i bytes = _mm_loadu_si128((const __m128i_u *)target);
  _mm_storeu_si128((__m128i_u *)target, _mm_min_epu8(bytes, _mm_set1_epi8((char)highest)));
#elif defined(__wasm_simd128__)
  vstore_uint8(target, v);
  wasm_v128_store(target, wasm_u8x16_min(wasm_v128_load(target), wasm_u8x16_splat(highest)));
#else
  int16x8_t low = vcombine_s16(vqmovn_s32((int32x4_t)v[0]), vqmovn_s32((int32x4_t)v[1]));
  int16x8_t high = vcombine_s16(vqmovn_s32((int32x4_t)v[2]), vqmovn_s32((int32x4_t)v[3]));
  vst1q_u8(target, vminq_u8(vcombine_u8(vqmovun_s16(low), vqmovun_s16(high)), vdupq_n_u8(highest)));
#endif
}

// ---- Across lanes

#if defined(__clang__) || __GNUC__ >= 12
#define vshuffle(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define vshuffle(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

// a0 b0 a1 b1 ... of the lower (vzip_low) and the upper (vzip_high) halves.
#if VEC_LANES == 16
INLINE vf vzip_low(vf a, vf b) { return vshuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
INLINE vf vzip_high(vf a, vf b) {
  return vshuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif VEC_LANES == 8
INLINE vf vzip_low(vf a, vf b) { return vshuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE vf vzip_high(vf a, vf b) { return vshuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#else
INLINE vf vzip_low(vf a, vf b) { return vshuffle(a, b, 0, 4, 1, 5); }
INLINE vf vzip_high(vf a, vf b) { return vshuffle(a, b, 2, 6, 3, 7); }
#endif

// Lane i - 1 of v in lane i, and below it the last lane of `before`.
#if VEC_LANES == 16
INLINE vi vmove_up(vi before, vi v) {
  return vshuffle(before, v, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}
#elif VEC_LANES == 8
INLINE vi vmove_up(vi before, vi v) { return vshuffle(before, v, 7, 8, 9, 10, 11, 12, 13, 14); }
#else
INLINE vi vmove_up(vi before, vi v) { return vshuffle(before, v, 3, 4, 5, 6); }
#endif

// The smallest lane in all lanes. Which zero results from +0 and -0 is not defined.
#if VEC_LANES >= 8
// The same of every eight lanes in all of them.
INLINE vf vsmallest_of_8(vf a) {
#if VEC_LANES == 16
  a = vmin(a, vshuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  a = vmin(a, vshuffle(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  return vmin(a, vshuffle(a, a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
#else
  a = vmin(a, vshuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3));
  a = vmin(a, vshuffle(a, a, 2, 3, 0, 1, 6, 7, 4, 5));
  return vmin(a, vshuffle(a, a, 1, 0, 3, 2, 5, 4, 7, 6));
#endif
}
INLINE vf vsmallest(vf a) {
#if VEC_LANES == 16
  a = vmin(a, vshuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
#endif
  return vsmallest_of_8(a);
}
#else
INLINE vf vsmallest(vf a) {
  a = vmin(a, vshuffle(a, a, 2, 3, 0, 1));
  return vmin(a, vshuffle(a, a, 1, 0, 3, 2));
}
#endif

#if VEC_LANES >= 8
// Lane index[i] of v in lane i; only as many low bits of an index count as it takes to number the lanes.
INLINE vf vpermute(vf v, vi index) {
#if defined(__AVX512F__)
  return (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)v);
#else
  return (vf)_mm256_permutevar8x32_ps((__m256)v, (__m256i)index);
#endif
}
#endif

// Transposes VEC_LANES x VEC_LANES in place: log2(VEC_LANES) perfect shuffles of the rows.
INLINE void vtranspose(vf *rows) {
  for (int stage = 1; stage < VEC_LANES; stage *= 2) {
    vf shuffled[VEC_LANES];
    for (int i = 0; i < VEC_LANES / 2; i++) {
      shuffled[2 * i] = vzip_low(rows[i], rows[i + VEC_LANES / 2]);
      shuffled[2 * i + 1] = vzip_high(rows[i], rows[i + VEC_LANES / 2]);
    }
    for (int i = 0; i < VEC_LANES; i++) rows[i] = shuffled[i];
  }
}

// Puts one block in each lane: columns[i] holds element i of VEC_LANES blocks. count is a multiple of 16.
INLINE void vload_blocks(vf *columns, const float *const *blocks, int count) {
  for (int start = 0; start < count; start += VEC_LANES) {
    vf tile[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = vload(blocks[lane] + start);
    vtranspose(tile);
    for (int i = 0; i < VEC_LANES; i++) columns[start + i] = tile[i];
  }
}

// ---- Within quarters: four lanes, 128 bits

enum { QUARTERS = VEC_LANES / 4 };

// Four floats from each of QUARTERS places, from the `at`th on.
INLINE vf vload_quarters(const float *const *sources, int at) {
#if defined(__AVX512F__)
  __m512 low = _mm512_castps128_ps512(_mm_loadu_ps(sources[0] + at));
  __m512 lower = _mm512_insertf32x4(low, _mm_loadu_ps(sources[1] + at), 1);
  return (vf)_mm512_insertf32x4(_mm512_insertf32x4(lower, _mm_loadu_ps(sources[2] + at), 2), _mm_loadu_ps(sources[3] + at), 3);
#elif defined(__AVX2__)
  return (vf)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(sources[0] + at)), _mm_loadu_ps(sources[1] + at), 1);
#else
  return vload(sources[0] + at);
#endif
}

// Four floats in each quarter.
INLINE vf vload_repeated(const float *source) {
#if defined(__AVX512F__)
  return (vf)_mm512_broadcast_f32x4(_mm_loadu_ps(source));
#elif defined(__AVX2__)
  return (vf)_mm256_broadcast_ps((const __m128 *)source);
#else
  return vload(source);
#endif
}

// Four 16-bit integers from each of QUARTERS places, zero-extended.
INLINE vi vload_u16_quarters(const uint16_t *const *sources, int at) {
#if VEC_LANES == 4
  return vload_u16((const uint8_t *)(sources[0] + at));
#else
  int64_t words[QUARTERS];
  for (int q = 0; q < QUARTERS; q++) __builtin_memcpy(&words[q], sources[q] + at, 8);
#if defined(__AVX512F__)
  return (vi)_mm512_cvtepu16_epi32(_mm256_setr_epi64x(words[0], words[1], words[2], words[3]));
#else
  return (vi)_mm256_cvtepu16_epi32(_mm_set_epi64x(words[1], words[0]));
#endif
#endif
}

// One of QUARTERS floats in all lanes of each quarter.
INLINE vf vsplat_quarters(const float *const *sources) {
#if defined(__AVX512F__)
  __m512 lower = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_load1_ps(sources[0])), _mm_load1_ps(sources[1]), 1);
  return (vf)_mm512_insertf32x4(_mm512_insertf32x4(lower, _mm_load1_ps(sources[2]), 2), _mm_load1_ps(sources[3]), 3);
#elif defined(__AVX2__)
  return (vf)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_load1_ps(sources[0])), _mm_load1_ps(sources[1]), 1);
#else
  return vsplat(*sources[0]);
#endif
}

// Zips the lower and the upper halves of quarters.
INLINE vf vzip_low_quarters(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_unpacklo_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_unpacklo_ps((__m256)a, (__m256)b);
#else
  return vzip_low(a, b);
#endif
}
INLINE vf vzip_high_quarters(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_unpackhi_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_unpackhi_ps((__m256)a, (__m256)b);
#else
  return vzip_high(a, b);
#endif
}

// Lanes i and j of each quarter of a, then lanes k and l of the same quarter of b: constants from 0 to 3.
#if defined(__AVX512F__)
#define vshuffle_quarters(a, b, i, j, k, l) ((vf)_mm512_shuffle_ps((__m512)(a), (__m512)(b), _MM_SHUFFLE(l, k, j, i)))
#elif defined(__AVX2__)
#define vshuffle_quarters(a, b, i, j, k, l) ((vf)_mm256_shuffle_ps((__m256)(a), (__m256)(b), _MM_SHUFFLE(l, k, j, i)))
#else
#define vshuffle_quarters(a, b, i, j, k, l) vshuffle(a, b, i, j, (k) + 4, (l) + 4)
#endif

// The smallest lane of each quarter in all its lanes. Which zero results from +0 and -0 is not defined.
INLINE vf vsmallest_of_quarters(vf a) {
#if defined(__AVX512F__)
  a = vmin(a, (vf)_mm512_permute_ps((__m512)a, 0x4e));
  return vmin(a, (vf)_mm512_permute_ps((__m512)a, 0xb1));
#elif defined(__AVX2__)
  a = vmin(a, (vf)_mm256_permute_ps((__m256)a, 0x4e));
  return vmin(a, (vf)_mm256_permute_ps((__m256)a, 0xb1));
#else
  a = vmin(a, vshuffle(a, a, 2, 3, 0, 1));
  return vmin(a, vshuffle(a, a, 1, 0, 3, 2));
#endif
}

// The bits of all lanes of each quarter, in all its lanes.
INLINE vi vany_of_quarters(vi a) {
#if defined(__AVX512F__)
  a |= (vi)_mm512_shuffle_epi32((__m512i)a, (_MM_PERM_ENUM)0x4e);
  return a | (vi)_mm512_shuffle_epi32((__m512i)a, (_MM_PERM_ENUM)0xb1);
#elif defined(__AVX2__)
  a |= (vi)_mm256_shuffle_epi32((__m256i)a, 0x4e);
  return a | (vi)_mm256_shuffle_epi32((__m256i)a, 0xb1);
#else
  a |= (vi)vshuffle(a, a, 2, 3, 0, 1);
  return a | (vi)vshuffle(a, a, 1, 0, 3, 2);
#endif
}

#endif
