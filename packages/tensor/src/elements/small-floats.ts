import { POWER_OF_TWO_FLOAT } from "./power-of-two-float.ts";
import { smallFloat, type SmallFloat } from "./small-float.ts";

export type SmallFloatType = "F16" | "BF16" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F4";

/**
 * The floating-point formats of at most 16 bits.
 *
 * F16 is IEEE 754 binary16, BF16 the upper half of binary32, F8_E4M3 and F8_E5M2 are those of the OCP 8-bit floating point
 * specification 1.0 (E4M3 without infinities, ml_dtypes `float8_e4m3fn`), F8_E8M0 and F4 (E2M1, neither infinity nor NaN)
 * those of the OCP microscaling formats specification 1.0.
 */
export const SMALL_FLOATS: Readonly<Record<SmallFloatType, SmallFloat>> = {
  F16: smallFloat({
    bits: 16,
    fractionBits: 10,
    bias: 15,
    maxCode: 0x7bff,
    overflowCode: 0x7c00,
    nanCode: 0x7e00,
  }),
  BF16: smallFloat({
    bits: 16,
    fractionBits: 7,
    bias: 127,
    maxCode: 0x7f7f,
    overflowCode: 0x7f80,
    nanCode: 0x7fc0,
  }),
  F8_E4M3: smallFloat({
    bits: 8,
    fractionBits: 3,
    bias: 7,
    maxCode: 0x7e,
    overflowCode: 0x7f,
    nanCode: 0x7f,
  }),
  F8_E5M2: smallFloat({
    bits: 8,
    fractionBits: 2,
    bias: 15,
    maxCode: 0x7b,
    overflowCode: 0x7c,
    nanCode: 0x7e,
  }),
  F8_E8M0: POWER_OF_TWO_FLOAT,
  F4: smallFloat({ bits: 4, fractionBits: 1, bias: 1, maxCode: 7, overflowCode: 7, nanCode: undefined }),
};
