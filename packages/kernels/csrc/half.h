// F16 and BF16 <-> F32, by lane and one at a time. Same results as ggml's portable conversions (ggml-impl.h of llama.cpp
// v0.5.0) on all finite values and infinities: exact widening, narrowing to nearest with ties to even.
#ifndef QUERN_HALF_H
#define QUERN_HALF_H

#include "vec.h"

INLINE uint32_t float_bits(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  return bits;
}

INLINE float bits_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// Every processor that these kernels run on is little-endian.
INLINE uint16_t load_u16(const uint8_t *source) {
  uint16_t half;
  __builtin_memcpy(&half, source, 2);
  return half;
}

INLINE void store_u16(uint8_t *target, uint32_t value) {
  uint16_t half = (uint16_t)value;
  __builtin_memcpy(target, &half, 2);
}

INLINE void store_u32(uint8_t *target, uint32_t value) {
  store_u16(target, value);
  store_u16(target + 2, value >> 16);
}

// All ones in infinities and NaN.
#define F16_EXPONENT 0x7c00
#define BF16_EXPONENT 0x7f80

// ---- F16 -> F32. Normal numbers get their exponent from a multiplication, denormals from a subtraction that normalizes; no
// step touches a float32 denormal, which processors are slow at.

INLINE float f16_to_f32(uint16_t half) {
  uint32_t magnitude = half & 0x7fffu;
  float normal = bits_float((magnitude << 13) + (0xe0u << 23)) * 0x1p-112f;
  float denormal = bits_float(magnitude | 0x3f000000u) - 0.5f;
  float value = magnitude < 0x400 ? denormal : normal;
  return bits_float(float_bits(value) | (uint32_t)(half & 0x8000u) << 16);
}

// Halves in the low 16 bits; the upper bits must be 0.
INLINE vf vf16_to_f32(vi half) {
  vi magnitude = half & 0x7fff;
  vf normal = (vf)((magnitude << 13) + (0xe0 << 23)) * 0x1p-112f;
  vf denormal = (vf)(magnitude | 0x3f000000) - 0.5f;
  vi value = vselect_int(vlt_int(magnitude, vsplat_int(0x400)), (vi)denormal, (vi)normal);
  return (vf)(value | (half & 0x8000) << 16);
}

// ---- F32 -> F16. The sum with a power of two 13 binary places above the value makes the adder round it to 10 bits (or fewer
// for denormals); the two factors send what exceeds the F16 range to infinity.
//
// NaN has one result, 0xfe00. Input holds none, so it comes from inf - inf, 0 * inf or inf / inf, for which x86 makes a NaN with
// the sign set and other processors one without.

INLINE vi vf32_to_f16(vf value) {
  vi bits = (vi)value;
  vf base = (vabs(value) * 0x1p112f) * 0x1p-110f;
  vi exponent = vmax_int(bits & 0x7f800000, vsplat_int(0x38800000));
  vi sum = (vi)((vf)(exponent + 0x07800000) + base);
  vi magnitude = ((sum >> 13) & 0x7c00) + (sum & 0x0fff);
  vi half = ((bits >> 16) & 0x8000) | magnitude;
  return vselect_int(vlt_int(vsplat_int(0x7f800000), bits & 0x7fffffff), vsplat_int(0xfe00), half);
}

INLINE uint16_t f32_to_f16(float value) {
  uint32_t bits = float_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0xfe00;
  float base = (bits_float(bits & 0x7fffffffu) * 0x1p112f) * 0x1p-110f;
  uint32_t exponent = bits & 0x7f800000u;
  if (exponent < 0x38800000u) exponent = 0x38800000u;
  uint32_t sum = float_bits(bits_float(exponent + 0x07800000u) + base);
  return (uint16_t)((bits >> 16 & 0x8000u) | (((sum >> 13) & 0x7c00u) + (sum & 0x0fffu)));
}

// ---- BF16, the upper half of F32.

INLINE vf vbf16_to_f32(vi bits) { return (vf)(bits << 16); }
INLINE vi vf32_to_bf16(vf value) {
  vi bits = (vi)value;
  return ((bits + (0x7fff + ((bits >> 16) & 1))) >> 16) & 0xffff;
}
INLINE uint16_t f32_to_bf16(float value) {
  uint32_t bits = float_bits(value);
  return (uint16_t)((bits + (0x7fff + ((bits >> 16) & 1))) >> 16);
}

#endif
