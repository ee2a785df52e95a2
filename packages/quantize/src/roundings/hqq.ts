import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { FittedGrid } from "../grids/grid.ts";
import { decodeMatrix, encodeMatrix } from "../grids/matrix-codes.ts";
import type { Matrix } from "../matrix.ts";
import type { Rounding } from "./rounding.ts";
import { tileResiduals } from "./tile-residuals.ts";

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
      const band = fitted.unit.rows * Math.max(1, Math.floor(AT_A_TIME / (columns * fitted.unit.rows)));
      for (let firstRow = 0; firstRow < rows; firstRow += band) {
        const end = Math.min(firstRow + band, rows);
        const part = {
          rows: end - firstRow,
          columns,
          values: values.subarray(firstRow * columns, end * columns),
        };
        centreTiles({ ...settings, matrix: part, firstRow, fitted, math });
      }
      fitted.settle();
      const codes = encodeMatrix({ grid: fitted, matrix, math });
      return { grid: fitted, codes, values: decodeMatrix({ grid: fitted, shape: matrix, codes, math }) };
    },
  };
}

/** Weights that are gone through many times one after another: few enough to stay near the processor. */
const AT_A_TIME = 2 ** 16;

interface CentreTilesParams extends Required<HqqOptions> {
  /** Some rows of tiles. */
  readonly matrix: Matrix;
  readonly firstRow: number;
  readonly fitted: FittedGrid;
  readonly math: MathKernels | undefined;
}

function centreTiles(params: CentreTilesParams): void {
  const { matrix, firstRow, fitted, iterations, norm, growth, math } = params;
  const { rows, columns } = matrix;
  const { unit } = fitted;
  const across = Math.ceil(columns / unit.columns);
  const count = Math.ceil(rows / unit.rows) * across;
  const rowOf = (tile: number): number => Math.floor(tile / across) * unit.rows;
  const columnOf = (tile: number): number => (tile % across) * unit.columns;
  const move = (tile: number, offset: number): void =>
    fitted.moveOffset!(firstRow + rowOf(tile), columnOf(tile), offset);
  const asked = new Uint8Array(count).fill(1);
  const errors = new Float64Array(count);
  const centres = new Float64Array(count);
  const least = new Float64Array(count).fill(Infinity);
  const best = new Float64Array(count);
  let { beta } = params;
  for (let iteration = 0, left = count; iteration <= iterations && left > 0; iteration++) {
    // A difference is shrunk to 0 up to the one at which |d| = |d|^(norm - 1) / beta; how exactly powers are computed does not matter here.
    const bound = 0.999 * beta ** (1 / (norm - 2));
    const shrinkage = { exponent: norm - 1, beta, bound };
    tileResiduals({ matrix, firstRow, fitted, shrinkage, asked, errors, centres, math });
    for (let tile = 0; tile < count; tile++) {
      if (asked[tile] === 0) continue;
      if (!(errors[tile]! < least[tile]!)) {
        asked[tile] = 0;
        left--;
        continue;
      }
      const [row, column] = [rowOf(tile), columnOf(tile)];
      least[tile] = errors[tile]!;
      best[tile] = fitted.decode(firstRow + row, column, 0);
      const size = Math.min(unit.rows, rows - row) * Math.min(unit.columns, columns - column);
      if (iteration < iterations) move(tile, centres[tile]! / size);
    }
    beta *= growth;
  }
  for (let tile = 0; tile < count; tile++) move(tile, best[tile]!);
}
