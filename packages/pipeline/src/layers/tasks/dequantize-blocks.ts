import type { Kernels } from "@quern/kernels";

/** Puts what blocks of ggml mean into shared memory. */
export interface DequantizeBlocksTask {
  readonly kind: "dequantize-blocks";
  /** For reports. */
  readonly tensor: string;
  readonly type: string;
  readonly blocks: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  /** rows x columns */
  readonly into: Float32Array;
}

export function dequantizeBlocks(task: DequantizeBlocksTask, kernels: Kernels): undefined {
  const { type, blocks: source, rows, columns, into: target } = task;
  kernels.dequantize({ type, source, target, rows, columns });
}
