const { fround } = Math;

const bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);

function floatOf(pattern: number): number {
  bits[0] = pattern;
  return float[0]!;
}

/** Polynomials of logf and expf of the Cephes library, from the highest power down. */
const LOGARITHM = Float32Array.of(
  7.0376836292e-2,
  -1.151461031e-1,
  1.167699874e-1,
  -1.2420140846e-1,
  1.4249322787e-1,
  -1.6668057665e-1,
  2.0000714765e-1,
  -2.4999993993e-1,
  3.3333331174e-1,
);
const EXPONENTIAL = Float32Array.of(
  1.98756915e-4,
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
);
const [LN2_HIGH, LN2_LOW, LOG2_E, ROOT_OF_HALF] = Float32Array.of(
  0.693359375,
  -2.1219444e-4,
  Math.LOG2E,
  Math.SQRT1_2,
) as unknown as readonly [number, number, number, number];
const SHIFT = 1.5 * 2 ** 23;

function polynomial(coefficients: Float32Array, x: number): number {
  return coefficients.reduce((sum, coefficient) => fround(fround(sum * x) + coefficient));
}

function logarithm(x: number): number {
  float[0] = x;
  const pattern = bits[0]!;
  let exponent = (pattern >> 23) - 126;
  let m = floatOf((pattern & 0x7fffff) | 0x3f000000);
  if (m < ROOT_OF_HALF) {
    exponent--;
    m = fround(m + m);
  }
  m = fround(m - 1);
  const square = fround(m * m);
  let p = fround(fround(polynomial(LOGARITHM, m) * m) * square);
  p = fround(p + fround(exponent * LN2_LOW));
  p = fround(p - fround(square * 0.5));
  return fround(fround(m + p) + fround(exponent * LN2_HIGH));
}

function exponential(x: number): number {
  const clamped = Math.max(Math.min(x, 89), -104);
  const shifted = fround(fround(clamped * LOG2_E) + SHIFT);
  const n = fround(shifted - SHIFT);
  const r = fround(fround(clamped - fround(n * LN2_HIGH)) - fround(n * LN2_LOW));
  const p = fround(fround(fround(polynomial(EXPONENTIAL, r) * fround(r * r)) + r) + 1);
  const half = n >> 1;
  return fround(fround(p * 2 ** half) * 2 ** (n - half));
}

/** x^exponent for an F32 number that is not negative, in F32 operations, as the kernels compute it: errors are raised to powers so. */
export function power(x: number, exponent: number): number {
  return exponential(fround(logarithm(x) * fround(exponent)));
}
