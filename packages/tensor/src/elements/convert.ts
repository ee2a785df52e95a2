import { type ElementType, elementTypeTraits } from "../element-type.ts";
import { QuernError } from "../error.ts";
import { ELEMENT_CODECS } from "./codecs.ts";
import type { FloatArray } from "./element-codec.ts";

export interface DecodeElementsParams<A extends FloatArray> {
  type: ElementType;
  /** Little-endian elements, at any alignment. */
  bytes: Uint8Array;
  /** Elements in `bytes`. @default as many as `bytes` holds */
  count?: number;
  /** Array to fill, of at least `count` elements. @default a new Float32Array */
  into?: A;
}

/**
 * Converts elements of any type to numbers, in a Float32Array or, when `into` is one, in a Float64Array.
 *
 * Values that the array cannot hold are rounded to nearest even, once: F64, I32, U32, I64 and U64 in a Float32Array, I64 and
 * U64 beyond 2^53 in a Float64Array. Everything else is exact. BOOL gives 0 and 1.
 *
 * @returns `into` or its first `count` elements, or the new array.
 * @throws QuernError `TENSOR_BYTES_MISMATCH` when `bytes` is not of the size of `count` elements, `TENSOR_BUFFER_TOO_SMALL`
 * when `into` has fewer than `count` elements.
 */
export function decodeElements<A extends FloatArray = Float32Array>(params: DecodeElementsParams<A>): A {
  const { type, bytes } = params;
  const { bits } = elementTypeTraits(type);
  const count = params.count ?? Math.floor((bytes.byteLength * 8) / bits);
  const size = Math.ceil((count * bits) / 8);
  if (bytes.byteLength !== size || !Number.isInteger(count)) {
    throw new QuernError(
      "TENSOR_BYTES_MISMATCH",
      `${bytes.byteLength} bytes given: ${count} elements of ${type} take ${size}`,
    );
  }
  const target = (params.into ?? new Float32Array(count)) as A;
  if (target.length < count) throw tooSmall(`${target.length} elements`, `${count}`);
  const into = (target.length === count ? target : target.subarray(0, count)) as A;
  ELEMENT_CODECS[type].decode(viewOf(bytes), into);
  return into;
}

export interface EncodeElementsParams {
  type: ElementType;
  values: ArrayLike<number>;
  /**
   * Whether float values too large for the type become its largest finite value instead of infinity or NaN.
   * @default false
   */
  saturate?: boolean;
  /** Array to fill, of at least the bytes that the elements take. @default a new array */
  into?: Uint8Array;
}

/**
 * Converts numbers to elements of any type.
 *
 * Floats are rounded to nearest even, once, from the precision of `values`. What is too large becomes infinity (F64, F32, F16,
 * BF16, F8_E5M2), NaN (F8_E4M3 and F8_E8M0, which have no infinity) or the largest finite value (F4, and all small formats when
 * `saturate` is set). In F8_E8M0 zero and negative values become NaN too. Every NaN becomes the same quiet NaN. Integers and
 * booleans are never rounded or clipped.
 *
 * @returns `into` or its first bytes, or the new array. An odd last F4 element has a high nibble of 0.
 * @throws QuernError `TENSOR_VALUE_NOT_REPRESENTABLE` for a NaN in F4 and for anything that an integer or boolean type does not
 * hold, `TENSOR_BUFFER_TOO_SMALL` when `into` is too short.
 */
export function encodeElements(params: EncodeElementsParams): Uint8Array {
  const { type, values, saturate = false } = params;
  const size = Math.ceil((values.length * elementTypeTraits(type).bits) / 8);
  const target = params.into ?? new Uint8Array(size);
  if (target.byteLength < size) throw tooSmall(`${target.byteLength} bytes`, `${size}`);
  const into = target.byteLength === size ? target : target.subarray(0, size);
  ELEMENT_CODECS[type].encode(values, viewOf(into), saturate);
  return into;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooSmall(found: string, expected: string): QuernError {
  return new QuernError(
    "TENSOR_BUFFER_TOO_SMALL",
    `the array given has ${found}: expected at least ${expected}`,
  );
}
