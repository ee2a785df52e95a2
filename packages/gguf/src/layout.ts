import type { GgufMetadata } from "./value.ts";

/** A tensor that is to be written. */
export interface GgufTensorSpec {
  readonly name: string;
  /** Name of a ggml type, as ggml spells it in upper case: "F32", "Q4_K", "IQ2_XXS", ... */
  readonly type: string;
  /** ggml order: the contiguous dimension (row length) first; 1 to 4 dimensions. */
  readonly ne: readonly number[];
}

export interface GgufPlacedTensor extends GgufTensorSpec {
  /** Absolute byte offset of the data in the file. */
  readonly offset: number;
  /** Bytes of data without padding. */
  readonly size: number;
}

/** A file whose every byte position is known before any data is written. */
export interface GgufLayout {
  /** Header, metadata, tensor table and padding up to the data section. */
  readonly header: Uint8Array;
  readonly tensors: readonly GgufPlacedTensor[];
  /** Size of the whole file; bytes between tensors are zero padding. */
  readonly fileSize: number;
  readonly alignment: number;
  readonly metadata: GgufMetadata;
}
