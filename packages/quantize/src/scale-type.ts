import { SMALL_FLOATS } from "@quern/tensor";

/** Element types in which files store scales and offsets. */
export type ScaleType = "F32" | "F16" | "BF16";

const SMALLEST: Readonly<Record<ScaleType, number>> = { F32: 2 ** -126, F16: 2 ** -24, BF16: 2 ** -126 };
const LARGEST_F32 = (2 - 2 ** -23) * 2 ** 127;

/** The types, for options that are not checked by a compiler. */
export const SCALE_TYPES: readonly string[] = Object.keys(SMALLEST);

/** The largest number of the type. */
export function largestOf(type: ScaleType | "F8_E4M3"): number {
  return type === "F32" ? LARGEST_F32 : SMALL_FLOATS[type].decode(SMALL_FLOATS[type].encode(Infinity, true));
}

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

/** Explicit bits of the fraction, the exponent of the smallest normal number, and the largest number. */
function layoutOf(
  type: Exclude<ScaleType, "F32"> | "F8_E4M3",
  fractionBits: number,
  least: number,
): { readonly largest: number; readonly rounders: Float64Array } {
  // By exponent, 1.5 * 2^(52 - fractionBits + exponent): a sum with it has no room for what is below the last bit.
  const rounders = Float64Array.from({ length: 2048 }, (_, biased) => {
    return 1.5 * 2 ** (52 - fractionBits + Math.max(biased - 1023, least));
  });
  return { largest: largestOf(type), rounders };
}

const LAYOUTS = {
  F16: layoutOf("F16", 10, -14),
  BF16: layoutOf("BF16", 7, -126),
  F8_E4M3: layoutOf("F8_E4M3", 3, -6),
} as const;

/** The nearest number of the type, ties to even; what is too large becomes the largest finite one. */
export function roundToScaleType(type: ScaleType | "F8_E4M3", value: number): number {
  if (type === "F32") return Math.fround(Math.min(Math.max(value, -LARGEST_F32), LARGEST_F32));
  const { largest, rounders } = LAYOUTS[type];
  const clamped = Math.min(Math.max(value, -largest), largest);
  float[0] = clamped;
  const rounder = rounders[(words[1]! >>> 20) & 0x7ff]!;
  return clamped + rounder - rounder;
}

/** A positive scale of the type that is nearest to `value`: never 0, so that codes are defined in tiles of zeros, too. */
export function roundScale(type: ScaleType, value: number): number {
  return roundToScaleType(type, Math.max(value, SMALLEST[type]));
}

/** The nearest integer, ties to the even one; exact below 2^51. */
export function roundToEven(value: number): number {
  return value + 6755399441055744 - 6755399441055744;
}
