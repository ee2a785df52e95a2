import { type Evaluation, takeNumbers } from "./evaluation.ts";

/** Columns [start, start + width) of a matrix, as a matrix of their own. */
export function columns(
  evaluation: Pick<Evaluation, "workspace">,
  params: {
    readonly matrix: Float32Array;
    readonly rows: number;
    /** Columns of the matrix. */
    readonly stride: number;
    readonly start: number;
    readonly width: number;
  },
): Float32Array {
  const { matrix, rows, stride, start, width } = params;
  const result = takeNumbers(evaluation, rows * width);
  for (let row = 0; row < rows; row++) {
    const first = row * stride + start;
    result.set(matrix.subarray(first, first + width), row * width);
  }
  return result;
}

/** Writes a matrix into the columns of another, beginning with column `start`. */
export function setColumns(params: {
  readonly target: Float32Array;
  readonly rows: number;
  /** Columns of the target. */
  readonly stride: number;
  readonly start: number;
  readonly source: Float32Array;
}): void {
  const { target, rows, stride, start, source } = params;
  const width = source.length / rows;
  for (let row = 0; row < rows; row++) {
    target.set(source.subarray(row * width, (row + 1) * width), row * stride + start);
  }
}
