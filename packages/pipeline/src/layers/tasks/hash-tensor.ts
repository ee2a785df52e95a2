import type { Target } from "./target.ts";

/** Hashes a tensor as it lies in the file that is written. */
export interface HashTensorTask {
  readonly kind: "hash";
  /** For reports. */
  readonly tensor: string;
  readonly target: Target;
  /** Bytes. */
  readonly size: number;
}
