import type { Slab, SlabResult } from "./slab.ts";
import type { TensorPart } from "./tensor-places.ts";

/** Rows to convert. */
interface SlabTask {
  readonly kind: "slab";
  readonly slab: Slab;
}

/** Bytes of a tensor to look at, which an earlier run has left as complete. */
export interface ChecksumTask {
  readonly kind: "checksum";
  readonly part: TensorPart;
  /** Position among the files of all outputs of the plan. */
  readonly file: number;
  readonly offset: number;
  readonly size: number;
}

/** What threads of a conversion do. Plain data. */
export type ConversionTask = SlabTask | ChecksumTask;

export type ConversionResult =
  | { readonly kind: "slab"; readonly done: SlabResult }
  | { readonly kind: "checksum"; readonly crc32: string };
