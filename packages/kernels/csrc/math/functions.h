// Elementary functions of vectors. Nothing is fused, so that all instruction sets agree to the bit.
#ifndef QUERN_MATH_FUNCTIONS_H
#define QUERN_MATH_FUNCTIONS_H

#include "math/lanes.h"

// e^x within 1 unit in the last place; 0 far below, infinity far above, NaN for NaN. x = n ln 2 + r; the polynomial in r and the two
// parts of ln 2 are those of the Cephes library's expf.
INLINE vf vexp(vf x) {
  const float shift = 0x1.8p23f; // brings integers to the lowest bits
  vf clamped = vmax(vsplat(-104.0f), vmin(vsplat(89.0f), x));
  vf shifted = clamped * 1.44269504088896341f + shift;
  vf n = shifted - shift;
  vf r = clamped - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  vf p = vsplat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^n in two factors, each of which is a normal number.
  vi exponent = (vi)shifted - 0x4b400000, half = exponent >> 1;
  return p * (vf)((half + 127) << 23) * (vf)((exponent - half + 127) << 23);
}

// ln x of positive normal numbers, by the polynomial of the Cephes library's logf; about -88 for smaller ones and 0.
INLINE vf vlog(vf x) {
  vi bits = (vi)x;
  vf exponent = vfloat((bits >> 23) - 126), m = (vf)((bits & 0x7fffff) | 0x3f000000);
  vm low = vlt(m, vsplat(0.707106781186547524f));
  exponent = vselect(low, exponent - 1.0f, exponent);
  m = vselect(low, m + m, m) - 1.0f;
  vf square = m * m, p = vsplat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  p = p * m * square + exponent * -2.12194440e-4f - square * 0.5f;
  return m + p + exponent * 0.693359375f;
}

// x^exponent for x >= 0 and an exponent above 0.
INLINE vf vpower(vf x, float exponent) { return vexp(vlog(x) * exponent); }

INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }

// Near 0 by the polynomial of the Cephes library's tanhf.
INLINE vf vtanh(vf x) {
  vf magnitude = vabs(x), square = x * x;
  vf p = vsplat(-5.70498872745e-3f);
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  vf small = p * square * x + x;
  vf large = 1.0f - 2.0f / (vexp(magnitude + magnitude) + 1.0f);
  vf negative = (vf)((vi)large | ((vi)x & (int32_t)0x80000000));
  return vselect(vlt(magnitude, vsplat(0.625f)), small, negative);
}

// 1 - erf(z) for z >= 0: t exp(-z^2 + p(t)) with t = 1 / (1 + z / 2). p is the least-squares fit of degree 9 at 400 Chebyshev points
// of t from 0.15 to 1, within 6e-8. Rounding z^2 to F32 costs more where it is large: up to 8e-6 of the value at z = 9.
INLINE vf verfc_of_positive(vf z) {
  vf t = 1.0f / (1.0f + 0.5f * z);
  vf p = vsplat(0.1541917324066162f);
  p = p * t - 0.7310593128204346f;
  p = p * t + 1.2743616104125977f;
  p = p * t - 0.8518794178962708f;
  p = p * t + 0.047508604824543f;
  p = p * t - 0.06602827459573746f;
  p = p * t + 0.05724634975194931f;
  p = p * t + 0.38196390867233276f;
  p = p * t + 0.9991688132286072f;
  p = p * t - 1.2654738426208496f;
  return t * vexp(p - z * z);
}

// x times the normal distribution's probability of less than x.
INLINE vf vgelu(vf x) {
  vf tail = 0.5f * verfc_of_positive(vabs(x) * 0.70710678118654752f);
  return x * vselect(vlt(x, (vf){0}), tail, 1.0f - tail);
}

#endif
