import type { Span } from "../hessian/spans.ts";
import type { RefinementState } from "./refine.ts";

/**
 * Values and errors of some columns by parameters and codes as they have become.
 *
 * @param changes rows x columns: becomes by how much errors have changed. @default not wanted
 */
export function updateErrors(
  { matrix, rounded, errors, math }: RefinementState,
  { start, end }: Span,
  changes?: Float32Array,
): void {
  const { rows, columns: stride, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const columns = end - start;
  if (grid.tileCodes) {
    math.decodeTiles({
      rows,
      columns,
      totalColumns: stride,
      firstColumn: start,
      tileCodes: grid.tileCodes,
      codes: codes.subarray(start),
      codeStride: stride,
      values: values.subarray(start),
      valueStride: stride,
    });
  } else {
    for (let row = 0; row < rows; row++) {
      for (let column = start; column < end; column++) {
        const i = row * stride + column;
        values[i] = grid.decode(row, column, codes[i]!);
      }
    }
  }
  const [a, b, c] = [weights, values, errors].map((array) => array.subarray(start)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  math.updateDifferences({ rows, columns, a, b, c, stride, changes });
}

interface AddProductParams {
  readonly tile: Span;
  readonly span: Span;
  /** Of the errors of the tile. */
  readonly changes: Float32Array;
  readonly gradients: Float32Array;
}

/** Lets gradients follow the errors of a tile. */
export function addProduct(
  { matrix: { rows, columns }, hessian, math }: RefinementState,
  { tile, span, changes, gradients }: AddProductParams,
): void {
  math.gemm({
    m: rows,
    n: span.end - span.start,
    k: tile.end - tile.start,
    a: changes,
    b: hessian.subarray(tile.start * columns + span.start),
    bStride: columns,
    c: gradients,
    accumulate: true,
  });
}
