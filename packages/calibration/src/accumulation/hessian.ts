import type { Kernels } from "@quern/kernels";
import { type CapturedInput, matrixRows } from "./captured-input.ts";

/** Some rows of the lower triangle of X^T X. */
export interface HessianRows {
  readonly columns: number;
  readonly matrix: number;
  readonly firstRow: number;
  readonly rows: number;
  /** Rows x (firstRow + rows), in shared memory: columns behind the diagonal of the last row are left out. */
  readonly h: Float64Array;
  /** In the order of windows: sums depend on it. */
  readonly captured: readonly CapturedInput[];
}

/** Adds captured rows to Hessians. */
export interface HessianTask {
  readonly kind: "hessian";
  readonly slices: readonly HessianRows[];
}

export function addHessians({ math }: Pick<Kernels, "math">, { slices }: HessianTask): void {
  for (const { columns, matrix, firstRow, rows, h, captured } of slices) {
    for (const input of captured) {
      for (const part of matrixRows(input, columns)) {
        if (part.matrix !== matrix) continue;
        math.syrk({
          x: part.x,
          xStride: columns,
          tokens: part.rows,
          n: firstRow + rows,
          h,
          firstRow,
          rows,
        });
      }
    }
  }
}

/** The rows one after the other, each as far as its diagonal: as they lie in the file. */
export function packRows({ firstRow, rows, h }: Pick<HessianRows, "firstRow" | "rows" | "h">): Float32Array {
  const stride = firstRow + rows;
  const packed = new Float32Array((rows * (2 * firstRow + rows + 1)) / 2);
  let filled = 0;
  for (let row = 0; row < rows; row++) {
    const length = firstRow + row + 1;
    packed.set(h.subarray(row * stride, row * stride + length), filled);
    filled += length;
  }
  return packed;
}
