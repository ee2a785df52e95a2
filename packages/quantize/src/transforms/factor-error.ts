import type { MathKernels } from "@quern/kernels";
import type { Grid } from "../grids/grid.ts";
import type { Calibrator } from "../calibrators/calibrator.ts";
import type { Matrix } from "../matrix.ts";
import { nearest } from "../roundings/nearest.ts";
import { scaleColumns } from "./transform.ts";

export interface FactorErrorParams {
  readonly layers: readonly Matrix[];
  readonly factors: Float32Array;
  readonly grid: Grid;
  readonly calibrator?: Calibrator | undefined;
  /** columns x columns, in F32. */
  readonly hessian: Float32Array;
  readonly math: MathKernels;
}

/** Sum over layers of tr(D H D^T), D = W - Q(W diag(s)) diag(1/s): what rounding to nearest costs with these factors. */
export function factorError({ layers, factors, grid, calibrator, hessian, math }: FactorErrorParams): number {
  return layers.reduce((sum, layer) => {
    const { rows, columns, values } = layer;
    const scaled = scaleColumns(layer, factors);
    const rounded = nearest().round({ matrix: scaled, grid, fitting: { calibrator, math }, math });
    const a = values.map((value, i) => value - rounded.values[i]! / factors[i % columns]!);
    const c = new Float32Array(rows * columns);
    math.gemm({ m: rows, n: columns, k: columns, a, b: hessian, c });
    return sum + a.reduce((total, difference, i) => total + difference * c[i]!, 0);
  }, 0);
}

/** Sum over layers of tr(W H W^T). */
export function layerSignal(layers: readonly Matrix[], hessian: Float32Array, math: MathKernels): number {
  return layers.reduce((sum, { rows, columns, values }) => {
    const c = new Float32Array(rows * columns);
    math.gemm({ m: rows, n: columns, k: columns, a: values, b: hessian, c });
    return sum + values.reduce((total, value, i) => total + value * c[i]!, 0);
  }, 0);
}

/** At most `most` rows, evenly spread, so that a search costs less; whole tiles of rows. */
export function sampleRows(layer: Matrix, most: number, grid: Grid): Matrix {
  const { rows, columns, values } = layer;
  if (rows <= most || grid.unitOf(layer).rows > 1) return layer;
  const sampled = new Float32Array(most * columns);
  for (let i = 0; i < most; i++) {
    const row = Math.floor(((i + 0.5) * rows) / most);
    sampled.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return { rows: most, columns, values: sampled };
}
