// What the linear algebra needs of vectors beyond vec.h: doubles (vd, half as many lanes), and multiply-add.
//
// vmuladd and vmuladd_f64 round once where the instruction set has fused multiply-add (AVX2 with FMA, AVX-512, NEON), and twice where it
// has not (SSE2, Wasm). Nothing else is fused: results agree to the bit within each of these two groups.
#ifndef QUERN_MATH_LANES_H
#define QUERN_MATH_LANES_H

#include "vec.h"

#define VEC_LANES_F64 (VEC_LANES / 2)

typedef double vd __attribute__((vector_size(8 * VEC_LANES_F64)));
typedef double vd_memory __attribute__((vector_size(8 * VEC_LANES_F64), aligned(1), may_alias));

INLINE vd vload_f64(const double *source) { return *(const vd_memory *)source; }
INLINE void vstore_f64(double *target, vd value) { *(vd_memory *)target = value; }
INLINE vd vsplat_f64(double value) { return value - (vd){0}; }

// a * b + c
INLINE vf vmuladd(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON)
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

INLINE vd vmuladd_f64(vd a, vd b, vd c) {
#if defined(__AVX512F__)
  return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__ARM_NEON)
  return (vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

// ---- Tables in memory: element index[i] in lane i

INLINE vf vgather(const float *table, vi index) {
#if defined(__AVX512F__)
  return (vf)_mm512_i32gather_ps((__m512i)index, table, 4);
#elif defined(__AVX2__)
  return (vf)_mm256_i32gather_ps(table, (__m256i)index, 4);
#else
  vf result = {0};
  for (int i = 0; i < VEC_LANES; i++) result[i] = table[index[i]];
  return result;
#endif
}

INLINE vi vgather_int(const int32_t *table, vi index) { return (vi)vgather((const float *)table, index); }

// ---- The first `count` lanes of an incomplete vector; the others are 0

INLINE vf vload_part(const float *source, int64_t count) {
  float part[VEC_LANES] = {0};
  for (int64_t i = 0; i < count; i++) part[i] = source[i];
  return vload(part);
}

INLINE void vstore_part(float *target, vf value, int64_t count) {
  float part[VEC_LANES];
  vstore(part, value);
  for (int64_t i = 0; i < count; i++) target[i] = part[i];
}

#endif
