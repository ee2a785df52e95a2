// TQ1_0: blocks of 256 = 48 bytes of five codes each, 4 bytes of four, F16 scale. value = scale * (code - 1).
//
// The codes are the base-3 digits of a number below 3^5, first code first, and a byte is that number * 256 / 3^5, rounded up: the
// upper byte of byte * 3 is the first code, and the lower byte holds the others in the same way. Byte i of the first 32 has weights
// i, i + 32, ... i + 128; of the next 16, weights 160 + i, 176 + i, ...; of the last 4, weights 240 + i, 244 + i, ... and a digit 0.

#include "kernel.h"
#include "ternary.h"

enum { TQ1_0_SIZE = 48 + 4 + 2 };

// Rounds number * 256 / 243 up; number is below 243. The division is a multiplication, exact in this range.
INLINE vi tq1_0_bytes(vi number) { return ((number * 256 + 242) * 34522) >> 23; }

// 16 bytes of five codes each; digit j of byte i is that of weight i + j * stride.
INLINE void tq1_0_pack_16(const float *x, int stride, vf inverse, uint8_t *target) {
  vi bytes[HALF_VECTORS];
  for (int i = 0; i < HALF_VECTORS; i++) {
    // The digits -1, 0, 1 first, as a number from -121 to 121.
    vi number = {0};
    for (int digit = 0; digit < 5; digit++) {
      number = number + number + number + ternary_round(vload(x + digit * stride + i * VEC_LANES), inverse);
    }
    bytes[i] = tq1_0_bytes(number + 121);
  }
  vstore_uint8(target, bytes);
}

INLINE void tq1_0_pack(const float *x, vf inverse, uint8_t *target) {
  tq1_0_pack_16(x, 32, inverse, target);
  tq1_0_pack_16(x + 16, 32, inverse, target + 16);
  tq1_0_pack_16(x + 160, 16, inverse, target + 32);

  vi codes[HALF_VECTORS];
  uint8_t digits[16];
  for (int i = 0; i < HALF_VECTORS; i++) codes[i] = ternary_round(vload(x + 240 + i * VEC_LANES), inverse) + 1;
  vstore_uint8(digits, codes);
  for (int i = 0; i < 4; i++) {
    int number = ((digits[i] * 3 + digits[i + 4]) * 3 + digits[i + 8]) * 3 + digits[i + 12];
    target[48 + i] = (uint8_t)((number * 3 * 256 + 242) / 243);
  }
}

static void quantize_tq1_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  quantize_ternary(source, target, rows * columns / TERNARY_BLOCK, TQ1_0_SIZE, 52, tq1_0_pack);
}

// The codes of `count` bytes, all first codes first.
INLINE void tq1_0_unpack(const uint8_t *bytes, int count, int digits, float scale, float *target) {
  uint8_t power = 1;
  for (int digit = 0; digit < digits; digit++, power *= 3) {
    for (int i = 0; i < count; i++) {
      uint8_t rest = (uint8_t)(bytes[i] * power);
      target[digit * count + i] = (float)((rest * 3 >> 8) - 1) * scale;
    }
  }
}

static void dequantize_tq1_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += TQ1_0_SIZE, target += TERNARY_BLOCK) {
    float scale = f16_to_f32(load_u16(source + 52));
    tq1_0_unpack(source, 32, 5, scale, target);
    tq1_0_unpack(source + 32, 16, 5, scale, target + 160);
    tq1_0_unpack(source + 48, 4, 4, scale, target + 240);
  }
}
