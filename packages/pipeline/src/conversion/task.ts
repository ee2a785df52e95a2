import type { Slab, SlabResult } from "./slab.ts";
import type { TensorPart } from "./tensor-places.ts";

/** Rows to convert. */
interface SlabTask {
  readonly kind: "slab";
  readonly slab: Slab;
}

/** Bytes to hash that are in a file: those of a tensor which is complete there, or which an earlier run left as complete. */
export interface HashTask {
  readonly kind: "hash";
  readonly part: TensorPart;
  /** Position among the files of all outputs of the plan. */
  readonly file: number;
  readonly offset: number;
  readonly size: number;
}

/** What threads of a conversion do. Plain data. */
export type ConversionTask = SlabTask | HashTask;

export type ConversionResult =
  | { readonly kind: "slab"; readonly done: SlabResult }
  | { readonly kind: "hash"; readonly sha256: string };
