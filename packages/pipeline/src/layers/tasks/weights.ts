import type { CheckpointTensor } from "@quern/checkpoints";
import { evaluateRows, type TensorExpression, type TensorReader } from "@quern/models/expressions";
import { decodeElements, type ElementType, QuernError } from "@quern/tensor";

/** A matrix of weights: what it is called, and how its rows are made. Plain data. */
export interface Weights {
  /** Name in the checkpoint. */
  readonly tensor: string;
  readonly rows: number;
  readonly columns: number;
  /** Element type that the expression yields. */
  readonly type: ElementType;
  /** ggml type of the blocks that the expression yields as bytes. Absent where it yields elements. */
  readonly blockType?: string;
  readonly expression: TensorExpression;
  /** Of what the expression makes, the row that is the first one here. @default 0 */
  readonly start?: number;
  /** Tensors that the expression reads. */
  readonly sources: readonly CheckpointTensor[];
  /** Whether no rows can be had without all others. @default false */
  readonly whole?: boolean;
  /** All of it in F32, in shared memory, where it has been evaluated before. */
  readonly values?: Float32Array;
}

export interface RowRange {
  readonly firstRow: number;
  readonly rows: number;
}

/** Gives a reader of some tensors. */
export type OpenReader = (sources: readonly CheckpointTensor[]) => TensorReader;

/** Bytes of rows as they are stored, or as the expression makes them. */
export function readRowBytes(weights: Weights, range: RowRange, open: OpenReader): Promise<Uint8Array> {
  const { expression, sources, values, columns, start = 0 } = weights;
  if (values === undefined) {
    return evaluateRows(expression, {
      reader: open(sources),
      firstRow: start + range.firstRow,
      rows: range.rows,
    });
  }
  const rows = values.slice(range.firstRow * columns, (range.firstRow + range.rows) * columns);
  return Promise.resolve(new Uint8Array(rows.buffer));
}

/**
 * Weights of some rows.
 *
 * @throws QuernError `WEIGHT_NOT_FINITE` for NaN and infinity, and what reading throws
 */
export async function readWeights(
  weights: Weights,
  range: RowRange,
  open: OpenReader,
): Promise<Float32Array> {
  const { tensor, type, columns } = weights;
  const values = decodeElements({ type, bytes: await readRowBytes(weights, range, open) });
  for (let index = 0; index < values.length; index++) {
    if (Number.isFinite(values[index])) continue;
    const row = range.firstRow + Math.floor(index / columns);
    throw new QuernError(
      "WEIGHT_NOT_FINITE",
      `Tensor "${tensor}" has a NaN or an infinity in row ${row}, column ${index % columns}: it cannot be quantized. ` +
        "The checkpoint is damaged, or was not trained to the end.",
      { subject: { tensor, offset: row * columns + (index % columns) } },
    );
  }
  return values;
}
