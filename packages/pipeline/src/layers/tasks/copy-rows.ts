import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import type { Target, WriteBytes } from "./target.ts";
import { type OpenReader, readRowBytes, type RowRange, type Weights } from "./weights.ts";

/** Writes rows of a tensor as they are, or in another type. */
export interface CopyRowsTask extends RowRange {
  readonly kind: "copy-rows";
  readonly weights: Weights;
  /** Element type that is written. */
  readonly type: ElementType;
  /** Added to each row, in F32: to biases. */
  readonly shift?: Float32Array;
  /** Of the first of the rows. */
  readonly target: Target;
}

/** @returns bytes written */
export async function copyRows(task: CopyRowsTask, open: OpenReader, write: WriteBytes): Promise<number> {
  const { weights, type, shift, target } = task;
  const stored = await readRowBytes(weights, task, open);
  const bytes = type === weights.type && shift === undefined ? stored : converted(task, stored);
  await write(target.file, bytes, target.offset);
  return bytes.byteLength;
}

function converted({ weights, type, shift }: CopyRowsTask, bytes: Uint8Array): Uint8Array {
  const values = decodeElements({ type: weights.type, bytes });
  if (shift) for (let index = 0; index < values.length; index++) values[index]! += shift[index]!;
  return encodeElements({ type, values });
}
