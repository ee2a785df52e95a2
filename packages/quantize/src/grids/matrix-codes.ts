import type { MathKernels } from "@quern/kernels";
import type { Matrix } from "../matrix.ts";
import type { FittedGrid } from "./grid.ts";

interface EncodeMatrixParams {
  readonly grid: FittedGrid;
  readonly matrix: Matrix;
  readonly math: MathKernels | undefined;
}

/** The nearest codes of all elements. */
export function encodeMatrix({ grid, matrix, math }: EncodeMatrixParams): Uint8Array {
  const { rows, columns, values } = matrix;
  const codes = new Uint8Array(rows * columns);
  const { tileCodes } = grid;
  if (tileCodes && math) {
    math.encodeTiles({ rows, columns, weights: values, codes, tileCodes });
    return codes;
  }
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) codes[i] = grid.encode(row, column, values[i]!);
  }
  return codes;
}

interface DecodeMatrixParams {
  readonly grid: FittedGrid;
  readonly shape: Pick<Matrix, "rows" | "columns">;
  readonly codes: Uint8Array;
  readonly math: MathKernels | undefined;
}

/** The values of all codes. */
export function decodeMatrix({ grid, shape, codes, math }: DecodeMatrixParams): Float32Array {
  const { rows, columns } = shape;
  const values = new Float32Array(rows * columns);
  const { tileCodes } = grid;
  if (tileCodes && math) {
    math.decodeTiles({ rows, columns, codes, values, tileCodes });
    return values;
  }
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) values[i] = grid.decode(row, column, codes[i]!);
  }
  return values;
}
