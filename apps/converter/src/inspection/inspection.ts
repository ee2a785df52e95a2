/** One tensor as `inspect` shows it. */
export interface InspectedTensor {
  readonly name: string;
  /** As the file's own format spells it: "Q4_K", "BF16". */
  readonly type: string;
  /** In the order of the format: GGUF the contiguous dimension first, safetensors last. */
  readonly shape: readonly number[];
  /** Bytes of data. */
  readonly bytes: number;
}

/** A value of the file's metadata, with arrays and long texts still to be decoded. */
export interface InspectedValue {
  /** "uint32", "string", "array of float32", ... */
  readonly type: string;
  /** For an array the number of elements, otherwise undefined. */
  readonly length?: number;
  /** The value as JSON can hold it; of an array the first `limit` elements. */
  value(limit: number): JsonValue;
}

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** What is known of a model file, or of a checkpoint of several, without reading weights. */
export interface Inspection {
  readonly format: "gguf" | "safetensors" | "checkpoint";
  /** Names relative to what was asked for, with their sizes in bytes. */
  readonly files: ReadonlyArray<{ readonly name: string; readonly size: number }>;
  /** Facts about the format itself, for the head of the report. */
  readonly facts: ReadonlyArray<readonly [label: string, value: string]>;
  readonly metadata: ReadonlyMap<string, InspectedValue>;
  readonly tensors: readonly InspectedTensor[];
  /** Weights that the tensors stand for, where several are in one element of a tensor. Default: as many as there are elements. */
  readonly parameters?: number;
}

/** Number of elements of a shape; a scalar, `[]`, has one. */
export function weightsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export interface TypeShare {
  readonly type: string;
  readonly tensors: number;
  readonly weights: number;
  readonly bytes: number;
}

/** Tensors grouped by type, the type with most bytes first. */
export function typeHistogram(tensors: readonly InspectedTensor[]): TypeShare[] {
  const shares = new Map<string, TypeShare>();
  for (const { type, shape, bytes } of tensors) {
    const share = shares.get(type);
    shares.set(type, {
      type,
      tensors: (share?.tensors ?? 0) + 1,
      weights: (share?.weights ?? 0) + weightsOf(shape),
      bytes: (share?.bytes ?? 0) + bytes,
    });
  }
  return [...shares.values()].sort((a, b) => b.bytes - a.bytes || (a.type < b.type ? -1 : 1));
}
