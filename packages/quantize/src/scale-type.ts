import { SMALL_FLOATS } from "@quern/tensor";

/** Element types in which files store scales and offsets. */
export type ScaleType = "F32" | "F16" | "BF16";

const SMALLEST: Readonly<Record<ScaleType, number>> = { F32: 2 ** -126, F16: 2 ** -24, BF16: 2 ** -126 };
const LARGEST_F32 = (2 - 2 ** -23) * 2 ** 127;

/** The types, for options that are not checked by a compiler. */
export const SCALE_TYPES: readonly string[] = Object.keys(SMALLEST);

/** The largest number of the type. */
export function largestOf(type: ScaleType): number {
  return type === "F32" ? LARGEST_F32 : SMALL_FLOATS[type].decode(SMALL_FLOATS[type].encode(Infinity, true));
}

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

/** Explicit bits of the fraction and the exponent of the smallest normal number. */
const LAYOUTS = {
  F16: { fractionBits: 10, least: -14, largest: largestOf("F16") },
  BF16: { fractionBits: 7, least: -126, largest: largestOf("BF16") },
} as const;

/** The nearest number of the type, ties to even; what is too large becomes the largest finite one. */
export function roundToScaleType(type: ScaleType, value: number): number {
  if (type === "F32") return Math.fround(Math.min(Math.max(value, -LARGEST_F32), LARGEST_F32));
  const { fractionBits, least, largest } = LAYOUTS[type];
  const clamped = Math.min(Math.max(value, -largest), largest);
  float[0] = clamped;
  const exponent = Math.max(((words[1]! >>> 20) & 0x7ff) - 1023, least);
  // 1.5 * 2^(52 - fractionBits + exponent): a sum with it has no room for what is below the last bit.
  words[0] = 0;
  words[1] = ((52 - fractionBits + exponent + 1023) << 20) | 0x80000;
  const large = float[0]!;
  return clamped + large - large;
}

/** A positive scale of the type that is nearest to `value`: never 0, so that codes are defined in tiles of zeros, too. */
export function roundScale(type: ScaleType, value: number): number {
  return roundToScaleType(type, Math.max(value, SMALLEST[type]));
}

/** The nearest integer, ties to the even one; exact below 2^51. */
export function roundToEven(value: number): number {
  return value + 6755399441055744 - 6755399441055744;
}
