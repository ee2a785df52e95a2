import type { GgufScalarType } from "../value.ts";
import type { ValueCodec } from "./codec.ts";

interface NumberCodecParams<Value> {
  readonly id: number;
  readonly name: GgufScalarType;
  /** Bytes. */
  readonly size: number;
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
  readonly get: (view: DataView, offset: number) => Value;
  readonly set: (view: DataView, offset: number, value: Value) => void;
}

function fixedSizeCodec<Value extends number | bigint | boolean>(
  params: NumberCodecParams<Value>,
): ValueCodec {
  const { id, name, size, expected, accepts, get, set } = params;
  return {
    id,
    name,
    minSize: size,
    fixedSize: true,
    expected,
    accepts,
    skip(cursor, count) {
      cursor.take(count * size);
    },
    decode: (cursor) => get(cursor.view, cursor.take(size)),
    encode(writer, value) {
      const { view, offset } = writer.reserve(size);
      set(view, offset, value as Value);
    },
  };
}

type Accessor = "Int8" | "Uint8" | "Int16" | "Uint16" | "Int32" | "Uint32";

function integerCodec(id: number, name: GgufScalarType, accessor: Accessor): ValueCodec {
  const bits = Number(accessor.replace(/\D/g, ""));
  const minimum = accessor.startsWith("U") ? 0 : -(2 ** (bits - 1));
  const maximum = minimum + 2 ** bits - 1;
  return fixedSizeCodec<number>({
    id,
    name,
    size: bits / 8,
    expected: `an integer from ${minimum} to ${maximum}`,
    accepts: (value) => Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum,
    get: (view, offset) => view[`get${accessor}`](offset, true),
    set: (view, offset, value) => view[`set${accessor}`](offset, value, true),
  });
}

function bigintCodec(id: number, name: GgufScalarType, accessor: "BigInt64" | "BigUint64"): ValueCodec {
  const minimum = accessor === "BigUint64" ? 0n : -(2n ** 63n);
  const maximum = minimum + 2n ** 64n - 1n;
  return fixedSizeCodec<bigint>({
    id,
    name,
    size: 8,
    expected: `a bigint from ${minimum} to ${maximum}`,
    accepts: (value) => typeof value === "bigint" && value >= minimum && value <= maximum,
    get: (view, offset) => view[`get${accessor}`](offset, true),
    set: (view, offset, value) => view[`set${accessor}`](offset, value, true),
  });
}

function floatCodec(
  id: number,
  name: GgufScalarType,
  size: number,
  accessor: "Float32" | "Float64",
): ValueCodec {
  return fixedSizeCodec<number>({
    id,
    name,
    size,
    expected: "a number",
    accepts: (value) => typeof value === "number",
    get: (view, offset) => view[`get${accessor}`](offset, true),
    set: (view, offset, value) => view[`set${accessor}`](offset, value, true),
  });
}

const boolCodec = fixedSizeCodec<boolean>({
  id: 7,
  name: "bool",
  size: 1,
  expected: "true or false",
  accepts: (value) => typeof value === "boolean",
  // Every byte but zero is true, as in gguf.cpp.
  get: (view, offset) => view.getUint8(offset) !== 0,
  set: (view, offset, value) => view.setUint8(offset, value ? 1 : 0),
});

/** Codecs of the types whose values all take the same number of bytes. */
export const NUMBER_CODECS: readonly ValueCodec[] = [
  integerCodec(0, "uint8", "Uint8"),
  integerCodec(1, "int8", "Int8"),
  integerCodec(2, "uint16", "Uint16"),
  integerCodec(3, "int16", "Int16"),
  integerCodec(4, "uint32", "Uint32"),
  integerCodec(5, "int32", "Int32"),
  floatCodec(6, "float32", 4, "Float32"),
  boolCodec,
  bigintCodec(10, "uint64", "BigUint64"),
  bigintCodec(11, "int64", "BigInt64"),
  floatCodec(12, "float64", 8, "Float64"),
];
