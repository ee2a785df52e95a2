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

/** The nearest number of the type, ties to even; what is too large becomes the largest finite one. */
export function roundToScaleType(type: ScaleType, value: number): number {
  if (type === "F32") return Math.fround(Math.min(Math.max(value, -LARGEST_F32), LARGEST_F32));
  const float = SMALL_FLOATS[type];
  return float.decode(float.encode(value, true));
}

/** A positive scale of the type that is nearest to `value`: never 0, so that codes are defined in tiles of zeros, too. */
export function roundScale(type: ScaleType, value: number): number {
  return roundToScaleType(type, Math.max(value, SMALLEST[type]));
}

/** The nearest integer, ties to the even one; exact below 2^51. */
export function roundToEven(value: number): number {
  return value + 6755399441055744 - 6755399441055744;
}
