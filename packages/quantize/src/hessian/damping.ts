import { QuernError } from "@quern/tensor";
import { diagonalOf } from "./column-importance.ts";
import type { Hessian } from "./hessian.ts";

/**
 * The share of the mean of the diagonal that is added to it, by tokens per column: 0.1 up to one token for each column, 0.01 from four on.
 * Between them it falls as a power. Few tokens leave directions that were never seen, which want more of it.
 */
export function dampingFor(tokens: number, columns: number): number {
  const share = 0.1 * Math.max(tokens / columns, 1) ** (-Math.log(10) / Math.log(4));
  return Math.max(share, 0.01);
}

/** What damping makes of a Hessian: its diagonal becomes larger, and some of its columns are cut off. */
export interface Damped {
  readonly diagonal: Float64Array;
  readonly damping: number;
  /** Columns whose inputs were always 0: they are cut off from the rest, so that their weights are rounded to nearest. */
  readonly deadColumns: readonly number[];
}

/**
 * @param diagonal Of the Hessian.
 * @throws QuernError `QUANTIZE_NOT_FINITE`
 */
export function damped(diagonal: Float64Array, damping: number): Damped {
  const columns = diagonal.length;
  let trace = 0;
  const deadColumns: number[] = [];
  for (const [i, value] of diagonal.entries()) {
    if (!Number.isFinite(value)) {
      throw new QuernError("QUANTIZE_NOT_FINITE", `the Hessian is ${value} at column ${i}`, {
        subject: { offset: i },
      });
    }
    if (value > 0) trace += value;
    else deadColumns.push(i);
  }
  const living = columns - deadColumns.length;
  const mean = living === 0 ? 1 : trace / living;
  const added = damping * mean;
  const dead = new Set(deadColumns);
  return { diagonal: diagonal.map((value, i) => (dead.has(i) ? mean : value + added)), damping, deadColumns };
}

/** Makes a Hessian the damped one. */
export function applyDamping(
  matrix: Float64Array | Float32Array,
  columns: number,
  { diagonal, deadColumns }: Damped,
): void {
  for (const column of deadColumns) {
    matrix.fill(0, column * columns, (column + 1) * columns);
    for (let i = 0; i < columns; i++) matrix[i * columns + column] = 0;
  }
  for (const [i, value] of diagonal.entries()) matrix[i * (columns + 1)] = value;
}

/** A damped copy. @throws QuernError `QUANTIZE_NOT_FINITE` */
export function dampedHessian(hessian: Hessian, columns: number, damping: number): Float64Array {
  const matrix = hessian.matrix.slice();
  applyDamping(matrix, columns, damped(diagonalOf(matrix, columns), damping));
  return matrix;
}

/** A copy in F32, damped. @throws QuernError `QUANTIZE_NOT_FINITE` */
export function dampedFloats({ matrix }: Hessian, columns: number, damping: number): Float32Array {
  const copy = Float32Array.from(matrix);
  applyDamping(copy, columns, damped(diagonalOf(matrix, columns), damping));
  return copy;
}
