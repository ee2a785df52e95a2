/** A floating-point format of at most 16 bits: conversion of single values. */
export interface SmallFloat {
  /** Bits of one code. */
  readonly bits: number;
  /** The value of a code, exactly; codes of NaN give NaN. */
  decode(code: number): number;
  /**
   * The code nearest to a value, ties to the even one, rounded once from the full precision of the value; -1 for a NaN in a
   * format without NaN.
   *
   * @param saturate Whether what rounds beyond the largest finite value, infinity included, becomes that value (the
   * saturating mode of the OCP 8-bit floating point specification) instead of infinity or, in a format without infinities,
   * NaN (as in ml_dtypes and PyTorch). A format with neither always saturates.
   */
  encode(value: number, saturate: boolean): number;
}

/** Layout of a format in the manner of IEEE 754: sign, biased exponent with subnormals at 0, fraction. */
export interface SmallFloatLayout {
  readonly bits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** Code of the largest finite value. Larger positive codes are infinity (if it is `overflowCode`) and NaN. */
  readonly maxCode: number;
  /** Code of what is too large: of infinity, of NaN where there is no infinity, of `maxCode` where there is no NaN either. */
  readonly overflowCode: number;
  /** Code of the NaN that encoding produces; undefined when the format has none. */
  readonly nanCode: number | undefined;
}

const bitsView = new DataView(new ArrayBuffer(8));

/** floor(log2(value)) of a positive value; anything at or below -1023 for a subnormal one. */
export function exponentOf(value: number): number {
  bitsView.setFloat64(0, value);
  return ((bitsView.getUint16(0) >>> 4) & 0x7ff) - 1023;
}

/** 2 ** exponent, exactly, for exponents from -1022 to 1023. */
export function powerOfTwo(exponent: number): number {
  bitsView.setUint32(4, 0);
  bitsView.setUint32(0, (exponent + 1023) << 20);
  return bitsView.getFloat64(0);
}

/** A non-negative value below 2^52, rounded to an integer, ties to even: the sum has no room for a fraction. */
export function roundToEven(value: number): number {
  return value + 2 ** 52 - 2 ** 52;
}

/** Makes the conversions of an IEEE-like format. */
export function smallFloat(layout: SmallFloatLayout): SmallFloat {
  const { bits, fractionBits, bias, maxCode, overflowCode, nanCode } = layout;
  const signBit = 2 ** (bits - 1);
  const fractionCount = 2 ** fractionBits;
  const minExponent = 1 - bias;

  const magnitude = (code: number): number => {
    if (code > maxCode) return code === overflowCode && code !== nanCode ? Infinity : Number.NaN;
    const exponent = Math.floor(code / fractionCount);
    const fraction = code % fractionCount;
    return exponent === 0
      ? fraction * powerOfTwo(minExponent - fractionBits)
      : (fractionCount + fraction) * powerOfTwo(exponent - bias - fractionBits);
  };
  const beyond = 2 * magnitude(maxCode);

  const encodeMagnitude = (value: number, saturate: boolean): number => {
    const tooLarge = saturate ? maxCode : overflowCode;
    if (value >= beyond) return tooLarge;
    // The significand as an integer counts from 0 (subnormal) or from fractionCount (normal): added to the exponent's share of
    // the code, its leading bit and a carry out of the rounding both end up in the exponent field.
    const exponent = Math.max(exponentOf(value), minExponent);
    const significand = roundToEven(value * powerOfTwo(fractionBits - exponent));
    const code = significand + (exponent - minExponent) * fractionCount;
    return code > maxCode ? tooLarge : code;
  };

  return {
    bits,
    decode: (code) => (code < signBit ? magnitude(code) : -magnitude(code - signBit)),
    encode(value, saturate) {
      if (Number.isNaN(value)) return nanCode ?? -1;
      const negative = value < 0 || Object.is(value, -0);
      return encodeMagnitude(Math.abs(value), saturate) + (negative ? signBit : 0);
    },
  };
}
