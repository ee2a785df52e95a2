import type { GgufMetadata } from "@quern/gguf";
import type { CheckpointShard, CheckpointTensor } from "./checkpoint.ts";

/** A tensor of a GGUF file. Quantized ones have rows of bytes: type U8, and the bytes of a row as the last dimension. */
export interface GgufModelTensor extends CheckpointTensor {
  /** Type as ggml calls it: "Q4_K". */
  readonly ggmlType: string;
  /** ggml order: the contiguous dimension first. Counts elements. */
  readonly ne: readonly number[];
  /** Position of its file in the split set, from 0. */
  readonly file: number;
}

/** A model in a GGUF file or a split set, whose headers have been read, and no weights. No file is held open. */
export interface GgufModel {
  /** File name without ending and number. */
  readonly name: string;
  /** Absolute path of the (first) file. */
  readonly location: string;
  /** Pairs of the first file in its order, without those that make it part of a set. */
  readonly metadata: GgufMetadata;
  /** The files in the order of the set. */
  readonly shards: readonly CheckpointShard[];
  /** By name, file by file in the order of their tables. */
  readonly tensors: ReadonlyMap<string, GgufModelTensor>;
  /** Bytes of all tensors. */
  readonly totalBytes: number;
}
