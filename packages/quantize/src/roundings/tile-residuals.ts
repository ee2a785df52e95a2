import type { MathKernels, Shrinkage } from "@quern/kernels";
import { power } from "../calibrators/power.ts";
import type { FittedGrid } from "../grids/grid.ts";
import type { Matrix } from "../matrix.ts";

export interface TileResidualsTask {
  /** The rows of some rows of tiles. */
  readonly matrix: Matrix;
  /** The first of these rows in the matrix of the grid. */
  readonly firstRow: number;
  readonly fitted: FittedGrid;
  readonly shrinkage: Shrinkage;
  /** By tile of these rows: 0 for those that are left out. */
  readonly asked: Uint8Array;
  /** By tile, become the sums of `|w - value|`. */
  readonly errors: Float64Array;
  /** By tile, become the sums of `w - shrunk - (value - value of code 0)`. */
  readonly centres: Float64Array;
  readonly math: MathKernels | undefined;
}

/** Columns that are summed apart. */
const APART = 16;

const { fround } = Math;

/** What `MathKernels.tileResiduals` computes, element by element where kernels do not know the codes. */
export function tileResiduals(task: TileResidualsTask): void {
  const { matrix, firstRow, fitted, math } = task;
  const { tileCodes, unit } = fitted;
  if (math && tileCodes?.tile.rows === unit.rows && tileCodes.tile.columns === unit.columns) {
    const { rows, columns, values: weights } = matrix;
    const first = (firstRow / unit.rows) * Math.ceil(columns / unit.columns);
    const scales = tileCodes.scales.subarray(first);
    const codes = { ...tileCodes, scales, shifts: tileCodes.shifts?.subarray(first) };
    math.tileResiduals({ ...task, rows, columns, weights, tileCodes: codes });
    return;
  }
  for (let row = 0, tile = 0; row < matrix.rows; row += unit.rows) {
    for (let column = 0; column < matrix.columns; column += unit.columns, tile++) {
      if (task.asked[tile] !== 0) sumTile(task, row, column, tile);
    }
  }
}

function sumTile(task: TileResidualsTask, row: number, column: number, tile: number): void {
  const { matrix, firstRow, fitted, shrinkage } = task;
  const { rows, columns, values } = matrix;
  const rowEnd = Math.min(row + fitted.unit.rows, rows);
  const columnEnd = Math.min(column + fitted.unit.columns, columns);
  const code0 = fitted.decode(firstRow + row, column, 0);
  const errors = new Float32Array(APART);
  const centres = new Float32Array(APART);
  for (let r = row; r < rowEnd; r++) {
    for (let c = column; c < columnEnd; c++) {
      const weight = values[r * columns + c]!;
      const value = fitted.decode(firstRow + r, c, fitted.encode(firstRow + r, c, weight));
      const difference = fround(weight - value);
      const magnitude = Math.abs(difference);
      const kept = Math.sign(difference) * shrink(magnitude, shrinkage);
      const place = (c - column) % APART;
      errors[place]! += magnitude;
      centres[place]! += fround(fround(weight - kept) - fround(value - code0));
    }
  }
  task.errors[tile] = errors.reduce((total, sum) => total + sum, 0);
  task.centres[tile] = centres.reduce((total, sum) => total + sum, 0);
}

/** The proximal step of a norm: see {@link Shrinkage}. */
function shrink(magnitude: number, { exponent, beta, bound }: Shrinkage): number {
  if (!(magnitude > fround(bound))) return 0;
  return Math.max(fround(magnitude - fround(power(magnitude, exponent) / fround(beta))), 0);
}
