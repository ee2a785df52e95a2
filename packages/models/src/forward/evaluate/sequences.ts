/** Tokens of a window that see only each other. */
export interface Sequence {
  /** Index of the first in the window. */
  readonly start: number;
  readonly tokens: number;
}

/** @param starts Default: the window is one sequence. */
export function sequencesOf(tokens: number, starts: readonly number[] = [0]): Sequence[] {
  return starts.map((start, index) => ({ start, tokens: (starts[index + 1] ?? tokens) - start }));
}

/** Rows of a matrix, as it lies in memory. */
export function rowsOf(matrix: Float32Array, { start, tokens }: Sequence, columns: number): Float32Array {
  return matrix.subarray(start * columns, (start + tokens) * columns);
}
