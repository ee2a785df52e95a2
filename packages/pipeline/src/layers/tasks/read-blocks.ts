import { rowSize } from "@quern/gguf";
import type { Kernels } from "@quern/kernels";
import type { ReadBytes, Target } from "./target.ts";

/** Puts what blocks of ggml that have been written stand for into shared memory. */
export interface ReadBlocksTask {
  readonly kind: "read-blocks";
  /** For reports. */
  readonly tensor: string;
  readonly type: string;
  readonly target: Target;
  readonly rows: number;
  readonly columns: number;
  /** rows x columns */
  readonly into: Float32Array;
}

export async function readBlocks(
  task: ReadBlocksTask,
  kernels: Kernels,
  read: ReadBytes,
): Promise<undefined> {
  const { type, target: place, rows, columns, into: target } = task;
  const source = await read(place.file, place.offset, rows * rowSize(type, columns));
  kernels.dequantize({ type, source, target, rows, columns });
}
