import { QuernError } from "../error.ts";

/** Arrays that elements are decoded to. */
export type FloatArray = Float32Array | Float64Array;

/** Conversion of many elements of one type. */
export interface ElementCodec {
  /** Decodes the first `into.length` elements; a value that `into` cannot hold is rounded to nearest even, once. */
  decode(bytes: DataView, into: FloatArray): void;
  /** Encodes all values from the start of `into`. */
  encode(values: ArrayLike<number>, into: DataView, saturate: boolean): void;
}

/** The error for a value that a type has no element for. */
export function notRepresentable(index: number, value: number, expected: string): QuernError {
  return new QuernError(
    "TENSOR_VALUE_NOT_REPRESENTABLE",
    `element ${index} is ${value}: expected ${expected}`,
    { subject: { offset: index } },
  );
}
