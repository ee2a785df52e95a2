import { exponentOf, powerOfTwo, roundToEven, type SmallFloat } from "./small-float.ts";

const NAN_CODE = 0xff;
const BIAS = 127;

/**
 * E8M0, the scale of OCP microscaling formats (MX v1.0, section 5.4.1): code c is 2^(c - 127), 255 is NaN. There is no sign,
 * no zero and no infinity.
 *
 * Encoding follows ml_dtypes' `float8_e8m0fnu`: zero, negative values and what is too large give NaN, positive values below the
 * smallest give the smallest; a tie (1.5 times a power of two) goes up, because 2 is the even one of the significands 1 and 2.
 */
export const POWER_OF_TWO_FLOAT: SmallFloat = {
  bits: 8,
  decode: (code) => (code === NAN_CODE ? Number.NaN : powerOfTwo(code - BIAS)),
  encode(value, saturate) {
    if (Number.isNaN(value) || value <= 0) return NAN_CODE;
    const tooLarge = saturate ? NAN_CODE - 1 : NAN_CODE;
    if (value >= 2 ** 128) return tooLarge;
    const exponent = Math.max(exponentOf(value), -BIAS);
    const significand = Math.max(roundToEven(value * powerOfTwo(-exponent)), 1);
    const code = significand - 1 + exponent + BIAS;
    return code >= NAN_CODE ? tooLarge : code;
  },
};
