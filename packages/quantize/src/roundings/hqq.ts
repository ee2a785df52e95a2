import { QuernError } from "@quern/tensor";
import type { FittedGrid } from "../grids/grid.ts";
import { decodeMatrix, encodeMatrix } from "../grids/matrix-codes.ts";
import type { Matrix } from "../matrix.ts";
import type { Rounding } from "./rounding.ts";

export interface HqqOptions {
  /** @default 20 */
  readonly iterations?: number;
  /** Of the norm of errors. @default 0.7 */
  readonly norm?: number;
  /** Where the penalty begins. @default 10 */
  readonly beta?: number;
  /** What it grows by. @default 1.01 */
  readonly growth?: number;
}

/**
 * Half-quadratic quantization (Badri and Shaji 2023): scales stay as they are fitted, and the offset of each tile is chosen so that errors
 * are small in a norm below 1, which forgives outliers. Needs no data. A tile stops when its mean error no longer falls, and keeps the best
 * offset.
 */
export function hqq(options: HqqOptions = {}): Rounding {
  const { iterations = 20, norm = 0.7, beta = 10, growth = 1.01 } = options;
  if (
    !(Number.isInteger(iterations) && iterations >= 1 && norm > 0 && norm <= 1 && beta > 0 && growth >= 1)
  ) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      "HQQ needs iterations, a norm above 0 and at most 1, a positive beta and a growth of at least 1",
    );
  }
  const settings = { iterations, norm, beta, growth };
  return {
    name: "hqq",
    needs: [],
    refuses: ({ name, movesOffsets }) =>
      movesOffsets ? undefined : `HQQ moves the zero points of tiles, but those of ${name} are fixed`,
    round({ matrix, grid, fitting, math }) {
      const { rows, columns, values } = matrix;
      const fitted = grid.open(matrix);
      fitted.fit({ ...fitting, values });
      for (let row = 0; row < rows; row += fitted.unit.rows) {
        for (let column = 0; column < columns; column += fitted.unit.columns) {
          centreTile({ ...settings, matrix, fitted, row, column });
        }
      }
      fitted.settle();
      const codes = encodeMatrix({ grid: fitted, matrix, math });
      return { grid: fitted, codes, values: decodeMatrix({ grid: fitted, shape: matrix, codes, math }) };
    },
  };
}

interface CentreTileParams extends Required<HqqOptions> {
  readonly matrix: Matrix;
  readonly fitted: FittedGrid;
  readonly row: number;
  readonly column: number;
}

function centreTile(params: CentreTileParams): void {
  const { matrix, fitted, row, column, iterations, norm, growth } = params;
  const { rows, columns, values } = matrix;
  const rowEnd = Math.min(row + fitted.unit.rows, rows);
  const columnEnd = Math.min(column + fitted.unit.columns, columns);
  const size = (rowEnd - row) * (columnEnd - column);
  const code0 = (): number => fitted.decode(row, column, 0);
  let { beta } = params;
  let best = code0();
  let least = Infinity;
  for (let iteration = 0; iteration <= iterations; iteration++) {
    const offset = code0();
    let error = 0;
    let moved = 0;
    for (let r = row; r < rowEnd; r++) {
      for (let c = column; c < columnEnd; c++) {
        const weight = values[r * columns + c]!;
        const value = fitted.decode(r, c, fitted.encode(r, c, weight));
        const difference = weight - value;
        const magnitude = Math.abs(difference);
        error += magnitude;
        // Proximal step of the norm; the offset that is left is the mean of (weight - error) - scale * code.
        const shrunk = magnitude === 0 ? 0 : Math.max(magnitude - magnitude ** (norm - 1) / beta, 0);
        moved += weight - Math.sign(difference) * shrunk - (value - offset);
      }
    }
    if (!(error < least)) break;
    least = error;
    best = offset;
    if (iteration < iterations) fitted.moveOffset!(row, column, moved / size);
    beta *= growth;
  }
  fitted.moveOffset!(row, column, best);
}
