import { QuernError } from "@quern/tensor";
import type { GgufMetadata, GgufScalarType } from "../value.ts";
import { ggufInt32, ggufUint16 } from "../values.ts";

// Names and types: llama-arch.cpp (`LLM_KV_SPLIT_*`) and tools/gguf-split/gguf-split.cpp.
const NUMBER = { key: "split.no", type: "uint16" } as const;
const COUNT = { key: "split.count", type: "uint16" } as const;
const TENSORS = { key: "split.tensors.count", type: "int32" } as const;

/** What a file says about the set that it belongs to. */
export interface SplitPosition {
  /** Position in the set, from 0. */
  readonly index: number | undefined;
  /** Files in the set. */
  readonly count: number | undefined;
  /** Tensors in all files together. */
  readonly tensorCount: number | undefined;
}

/**
 * Reads the split keys.
 *
 * @throws QuernError `GGUF_SPLIT_INVALID` when one has another type than llama.cpp gives it
 */
export function splitPositionOf(metadata: GgufMetadata, fileName: string): SplitPosition {
  const read = ({ key, type }: { key: string; type: GgufScalarType }): number | undefined => {
    const value = metadata.get(key);
    if (value === undefined) return undefined;
    if (value.type === type) return Number(value.value);
    throw new QuernError(
      "GGUF_SPLIT_INVALID",
      `${fileName}: metadata key "${key}" is ${value.type}: expected ${type}`,
      {
        subject: { file: fileName, key },
      },
    );
  };
  return { index: read(NUMBER), count: read(COUNT), tensorCount: read(TENSORS) };
}

/** A copy of the metadata without the keys that make a file part of a split set. */
export function withoutSplitKeys(metadata: GgufMetadata): GgufMetadata {
  const copy: GgufMetadata = new Map(metadata);
  for (const { key } of [NUMBER, COUNT, TENSORS]) copy.delete(key);
  return copy;
}

/** Orders of the split keys: those of `llama-gguf-split`, and of `llama-quantize --keep-split` and gguf-py. */
export const SPLIT_KEY_ORDERS: Readonly<Record<"split" | "quantize", readonly string[]>> = {
  split: [NUMBER.key, TENSORS.key, COUNT.key],
  quantize: [NUMBER.key, COUNT.key, TENSORS.key],
};

/** A copy of the metadata with the split keys at the end. */
export function withSplitKeys(
  metadata: GgufMetadata,
  position: { index: number; count: number; tensorCount: number },
  order: readonly string[],
): GgufMetadata {
  const values: GgufMetadata = new Map([
    [NUMBER.key, ggufUint16(position.index)],
    [COUNT.key, ggufUint16(position.count)],
    [TENSORS.key, ggufInt32(position.tensorCount)],
  ]);
  const copy = withoutSplitKeys(metadata);
  for (const key of order) {
    const value = values.get(key);
    if (value !== undefined) copy.set(key, value);
  }
  return copy;
}

/**
 * A copy of the metadata of the first file of a set for the merged file, as `llama-gguf-split --merge` leaves it: the keys
 * stay, and a count of 0 at the end says that there is no set.
 */
export function withMergedSplitKeys(metadata: GgufMetadata): GgufMetadata {
  const copy: GgufMetadata = new Map(metadata);
  copy.delete(COUNT.key);
  return copy.set(COUNT.key, ggufUint16(0));
}

/** Whether a key is one of those that make a file part of a split set. */
export function isSplitKey(key: string): boolean {
  return SPLIT_KEY_ORDERS.split.includes(key);
}
