import { QuernError } from "@quern/tensor";
import { CODECS } from "./codec/codecs.ts";
import type { GgufElement } from "./codec/codec.ts";
import type { GgufArrayValue, GgufScalar, GgufScalarType, GgufScalarValue, GgufValueType } from "./value.ts";

/**
 * A metadata value of a given type.
 *
 * @throws QuernError `GGUF_VALUE_INVALID` when the type cannot hold the value
 */
export function ggufScalar(type: GgufScalarType, value: GgufScalar): GgufScalarValue {
  check(type, value, "");
  return { type, value };
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufUint8(value: number): GgufScalarValue {
  return ggufScalar("uint8", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufInt8(value: number): GgufScalarValue {
  return ggufScalar("int8", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufUint16(value: number): GgufScalarValue {
  return ggufScalar("uint16", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufInt16(value: number): GgufScalarValue {
  return ggufScalar("int16", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufUint32(value: number): GgufScalarValue {
  return ggufScalar("uint32", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufInt32(value: number): GgufScalarValue {
  return ggufScalar("int32", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufUint64(value: bigint): GgufScalarValue {
  return ggufScalar("uint64", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufInt64(value: bigint): GgufScalarValue {
  return ggufScalar("int64", value);
}

/** Rounds to the nearest float32. */
export function ggufFloat32(value: number): GgufScalarValue {
  return ggufScalar("float32", Math.fround(value));
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufFloat64(value: number): GgufScalarValue {
  return ggufScalar("float64", value);
}

/** @throws QuernError as {@link ggufScalar} */
export function ggufBool(value: boolean): GgufScalarValue {
  return ggufScalar("bool", value);
}

/** @throws QuernError as {@link ggufScalar}; lone surrogates have no UTF-8. */
export function ggufString(value: string): GgufScalarValue {
  return ggufScalar("string", value);
}

/**
 * A metadata array.
 *
 * @param elements Type of every element. ggml itself refuses files with arrays of arrays.
 * @param values Kept, not copied: do not change them afterwards.
 * @throws QuernError `GGUF_VALUE_INVALID` when the type cannot hold one of the values
 */
export function ggufArray(elements: GgufValueType, values: ArrayLike<GgufElement>): GgufArrayValue {
  const array: GgufArrayValue = {
    type: "array",
    elements,
    length: values.length,
    at(index) {
      const value = values[index];
      if (value !== undefined) return value;
      throw new QuernError(
        "GGUF_INDEX_OUT_OF_RANGE",
        `element ${index} of an array of ${values.length} elements`,
        { subject: { offset: index } },
      );
    },
    [Symbol.iterator]: () => Array.prototype[Symbol.iterator].call(values) as Iterator<GgufElement>,
  };
  for (let index = 0; index < values.length; index++) check(elements, values[index], `element ${index}: `);
  return array;
}

function check(type: GgufValueType, value: GgufElement | undefined, where: string): void {
  const codec = CODECS.byName(type);
  if (codec === undefined) {
    throw new QuernError("GGUF_VALUE_INVALID", `unknown metadata type "${type}"`);
  }
  if (value !== undefined && codec.accepts(value)) return;
  throw new QuernError(
    "GGUF_VALUE_INVALID",
    `${where}${describe(value)} is not a ${type}: expected ${codec.expected}`,
  );
}

function describe(value: GgufElement | undefined): string {
  return typeof value === "object"
    ? `an array of ${value.elements}`
    : (JSON.stringify(value, bigintAsText) ?? "undefined");
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
