import type { MathKernels } from "@quern/kernels";
import type { LaneBuffers } from "./lane-buffers.ts";

/** Rows of a Hessian that are in memory at a time: it is never there as a whole. */
const PANEL_ROWS = 64;

/** Memory for Hessians of layers with so many inputs, and for each row of all matrices that {@link hessianForms} is given. */
export function hessianBytes(params: { readonly columns: number; readonly matrices: number }): {
  fixed: number;
  perRow: number;
} {
  const { columns, matrices } = params;
  // The panel, its rows as they are decoded, and as bytes.
  return { fixed: 3 * 4 * PANEL_ROWS * columns, perRow: 4 * (matrices * columns + PANEL_ROWS) };
}

/** Reads rows of the lower triangle of a Hessian, one after the other: row r has r + 1 elements. */
export type ReadHessianRows = (start: number, count: number) => Promise<Float32Array>;

/**
 * The quadratic form x^T H x of every row x of some matrices. With x a row of weights, it is the sum of squares of what the layer makes
 * of all inputs that H is of; with x the change of a row, that of the changes of its outputs.
 *
 * H is read once for all matrices, in panels of {@link PANEL_ROWS} rows: its lower triangle with half of its diagonal, P, is enough,
 * since x^T H x = 2 x^T P x. Products are in F32, their sums in F64; each row is added up in an order of its own, so that it does not
 * matter which rows are there together.
 *
 * @param params.matrices Each rows x columns, row-major.
 * @returns for each matrix, one element per row
 */
export async function hessianForms(params: {
  readonly matrices: readonly Float32Array[];
  readonly rows: number;
  readonly columns: number;
  readonly read: ReadHessianRows;
  readonly math: MathKernels;
  readonly buffers: LaneBuffers;
}): Promise<Float64Array[]> {
  const { matrices, rows, columns, read, math, buffers } = params;
  const panel = buffers.takeFloats("panel of H", PANEL_ROWS * columns);
  const products = buffers.takeFloats("products with H", rows * PANEL_ROWS);
  const forms = matrices.map(() => new Float64Array(rows));
  for (let start = 0; start < columns; start += PANEL_ROWS) {
    const count = Math.min(PANEL_ROWS, columns - start);
    const width = start + count;
    fillPanel({ packed: await read(start, count), start, count, panel });
    for (const [index, matrix] of matrices.entries()) {
      math.gemm({
        m: rows,
        n: count,
        k: width,
        a: matrix,
        aStride: columns,
        b: panel,
        transposeB: true,
        c: products,
      });
      const form = forms[index]!;
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        const [left, right] = [row * columns + start, row * count];
        for (let i = 0; i < count; i++) sum += matrix[left + i]! * products[right + i]!;
        form[row]! += 2 * sum;
      }
    }
  }
  return forms;
}

/** Rows of a packed triangle, from row `start` on, with zeros behind half of the diagonal. */
function fillPanel(params: {
  readonly packed: Float32Array;
  readonly start: number;
  readonly count: number;
  readonly panel: Float32Array;
}): void {
  const { packed, start, count, panel } = params;
  const width = start + count;
  for (let row = 0, from = 0; row < count; row++) {
    const [length, to] = [start + row + 1, row * width];
    panel.set(packed.subarray(from, from + length), to);
    panel[to + length - 1]! /= 2;
    panel.fill(0, to + length, to + width);
    from += length;
  }
}
