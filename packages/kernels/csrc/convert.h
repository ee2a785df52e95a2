// Elements of floats, widened to F32 (F64: narrowed to nearest, ties to even).
#ifndef QUERN_CONVERT_H
#define QUERN_CONVERT_H

#include "half.h"

static void convert_f64(const uint8_t *source, float *target, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    double value;
    __builtin_memcpy(&value, source + 8 * i, 8);
    target[i] = (float)value;
  }
}

static void convert_f16(const uint8_t *source, float *target, int64_t count) {
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) vstore(target + i, vf16_to_f32(vload_u16(source + 2 * i)));
  for (; i < count; i++) target[i] = f16_to_f32(load_u16(source + 2 * i));
}

static void convert_bf16(const uint8_t *source, float *target, int64_t count) {
  int64_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) vstore(target + i, vbf16_to_f32(vload_u16(source + 2 * i)));
  for (; i < count; i++) target[i] = bits_float((uint32_t)load_u16(source + 2 * i) << 16);
}

static void convert_by_table(const float table[256], const uint8_t *source, float *target, int64_t count) {
  for (int64_t i = 0; i < count; i++) target[i] = table[source[i]];
}

// OCP 8-bit floating point (OFP8) E5M2 is the upper byte of F16.
static void convert_f8_e5m2(const uint8_t *source, float *target, int64_t count) {
  float table[256];
  for (uint32_t code = 0; code < 256; code++) table[code] = f16_to_f32((uint16_t)(code << 8));
  convert_by_table(table, source, target, count);
}

// OFP8 E4M3 has F16's shape but for one exponent bit less (bias 7, not 15: a factor of 2^8), no infinities, and NaN at 0x7f only.
static void convert_f8_e4m3(const uint8_t *source, float *target, int64_t count) {
  float table[256];
  for (uint32_t code = 0; code < 256; code++) {
    uint32_t magnitude = code & 0x7f;
    float value = f16_to_f32((uint16_t)((code & 0x80) << 8 | magnitude << 7)) * 256.0f;
    table[code] = magnitude == 0x7f ? __builtin_nanf("") : value;
  }
  convert_by_table(table, source, target, count);
}

#endif
