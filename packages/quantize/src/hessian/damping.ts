import { QuernError } from "@quern/tensor";
import type { Hessian } from "./hessian.ts";

/**
 * The share of the mean of the diagonal that is added to it, by tokens per column: 0.1 up to one token for each column, 0.01 from four on.
 * Between them it falls as a power. Few tokens leave directions that were never seen, which want more of it.
 */
export function dampingFor(tokens: number, columns: number): number {
  const share = 0.1 * Math.max(tokens / columns, 1) ** (-Math.log(10) / Math.log(4));
  return Math.max(share, 0.01);
}

export interface DampedHessian {
  /** Symmetric; a copy. */
  readonly matrix: Float64Array;
  readonly damping: number;
  /** Columns whose inputs were always 0: they are cut off from the rest, so that their weights are rounded to nearest. */
  readonly deadColumns: readonly number[];
}

/** @throws QuernError `QUANTIZE_NOT_FINITE` */
export function dampHessian(hessian: Hessian, columns: number, damping: number): DampedHessian {
  const matrix = hessian.matrix.slice();
  let trace = 0;
  const deadColumns: number[] = [];
  for (let i = 0; i < columns; i++) {
    const value = matrix[i * (columns + 1)]!;
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
  for (const column of deadColumns) {
    for (let i = 0; i < columns; i++) {
      matrix[column * columns + i] = 0;
      matrix[i * columns + column] = 0;
    }
  }
  const dead = new Set(deadColumns);
  for (let i = 0; i < columns; i++)
    matrix[i * (columns + 1)] = dead.has(i) ? mean : matrix[i * (columns + 1)]! + damping * mean;
  return { matrix, damping, deadColumns };
}
