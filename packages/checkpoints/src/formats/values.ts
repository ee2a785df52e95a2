import { SMALL_FLOATS } from "@quern/tensor";

/** Values of the 256 codes of E4M3 (OCP "FN": no infinities, NaN at 0x7f and 0xff). */
export const E4M3_VALUES: Float32Array = Float32Array.from({ length: 256 }, (_, code) =>
  SMALL_FLOATS.F8_E4M3.decode(code),
);

/** Values of the 16 codes of E2M1 (OCP microscaling formats 1.0), the sign in the highest bit. */
export const E2M1_VALUES: Float32Array = Float32Array.from({ length: 16 }, (_, code) =>
  SMALL_FLOATS.F4.decode(code),
);

/** Whether two lists are of the same numbers; -0 is 0, NaN is NaN. */
export function sameValues(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index] || Object.is(value, b[index]));
}
