import type { Span } from "../hessian/spans.ts";
import type { RefinementState } from "./refine.ts";

/** Values and errors of a tile by parameters and codes as they have become. @returns by how much errors have changed */
export function updateErrors(
  { matrix, rounded, errors, math }: RefinementState,
  { start, end }: Span,
): Float32Array {
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const { tileCodes } = grid;
  const changes = new Float32Array(rows * (end - start));
  if (tileCodes) {
    math.decodeTiles({
      rows,
      columns: end - start,
      totalColumns: columns,
      firstColumn: start,
      tileCodes,
      codes: codes.subarray(start),
      codeStride: columns,
      values: values.subarray(start),
      valueStride: columns,
    });
  } else {
    for (let row = 0; row < rows; row++) {
      for (let column = start; column < end; column++) {
        const i = row * columns + column;
        values[i] = grid.decode(row, column, codes[i]!);
      }
    }
  }
  for (let row = 0, change = 0; row < rows; row++) {
    const rowEnd = row * columns + end;
    for (let i = row * columns + start; i < rowEnd; i++, change++) {
      const error = Math.fround(weights[i]! - values[i]!);
      changes[change] = error - errors[i]!;
      errors[i] = error;
    }
  }
  return changes;
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
