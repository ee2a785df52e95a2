/** GGUF metadata value types (gguf.h, `enum gguf_type`). */
export type GgufValueType =
  | "uint8"
  | "int8"
  | "uint16"
  | "int16"
  | "uint32"
  | "int32"
  | "uint64"
  | "int64"
  | "float32"
  | "float64"
  | "bool"
  | "string"
  | "array";

export type GgufScalarType = Exclude<GgufValueType, "array">;

/** 64-bit integers are bigint, all other numbers number. */
export type GgufScalar = number | bigint | boolean | string;

export interface GgufScalarValue {
  readonly type: GgufScalarType;
  readonly value: GgufScalar;
}

export interface GgufArrayValue {
  readonly type: "array";
  /** Type of the elements; "array" for nested arrays, whose elements are GgufArrayValue. */
  readonly elements: GgufValueType;
  readonly length: number;
  /** Decodes element `index` (lazy for values read from a file). */
  at(index: number): GgufScalar | GgufArrayValue;
  /** Elements in their order, each decoded when it is its turn. */
  [Symbol.iterator](): Iterator<GgufScalar | GgufArrayValue>;
}

export type GgufValue = GgufScalarValue | GgufArrayValue;

/** Key-value pairs in file order. */
export type GgufMetadata = Map<string, GgufValue>;
