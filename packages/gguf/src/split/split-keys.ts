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

/** A copy of the metadata with the split keys at the end, in the order in which llama.cpp's gguf-split leaves them. */
export function withSplitKeys(
  metadata: GgufMetadata,
  position: { index: number; count: number; tensorCount: number },
): GgufMetadata {
  return withoutSplitKeys(metadata)
    .set(NUMBER.key, ggufUint16(position.index))
    .set(TENSORS.key, ggufInt32(position.tensorCount))
    .set(COUNT.key, ggufUint16(position.count));
}
