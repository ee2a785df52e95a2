/** The rows that linear layers read in a window. */
export interface CapturedInput {
  /** Rows x columns, in shared memory; room for more may follow. */
  readonly rows: Float32Array;
  /** Which matrices they are for, in the order in which they lie there; see `CapturedRows` of @quern/inference. */
  readonly parts: readonly { readonly matrix: number; readonly rows: number }[];
}

/** Rows of one matrix. */
export interface MatrixRows {
  readonly matrix: number;
  readonly rows: number;
  readonly x: Float32Array;
}

/** The rows of each matrix that has any. */
export function* matrixRows({ rows: all, parts }: CapturedInput, columns: number): Generator<MatrixRows> {
  let first = 0;
  for (const { matrix, rows } of parts) {
    const next = first + rows * columns;
    if (rows > 0) yield { matrix, rows, x: all.subarray(first, next) };
    first = next;
  }
}
