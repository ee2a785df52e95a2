import type { MathKernels } from "@quern/kernels";
import type { Calibrator } from "../calibrators/calibrator.ts";
import type { Fitting, Grid } from "../grids/grid.ts";
import { columnImportance, diagonalOf } from "../hessian/column-importance.ts";
import type { Matrix } from "../matrix.ts";
import { nearest } from "../roundings/nearest.ts";

export interface FactorErrorParams {
  readonly layers: readonly Matrix[];
  readonly grid: Grid;
  readonly calibrator?: Calibrator | undefined;
  /** columns x columns. */
  readonly hessian: Float64Array;
  readonly math: MathKernels;
}

/**
 * What the layers' outputs lose with some factors s when weights are rounded to nearest: tr(D H D^T) / tr(W H W^T) with
 * D = W - Q(W diag(s)) diag(1/s), mean over layers. Shares, as outputs of some layers are larger than those of others and mean no more: queries
 * and keys beside values.
 *
 * Ranges are searched as they are when the layers are rounded: errors of a column count what its inputs have in them.
 *
 * @returns the error, a function of the factors and of a variance by which inputs that are divided by them change, summed over tokens
 */
export function factorErrors(
  params: FactorErrorParams,
): (factors: Float32Array, variance?: number) => number {
  const { grid, math } = params;
  const hessian = Float32Array.from(params.hessian);
  const trials = params.layers.map((layer) => new LayerTrials(layer, hessian, math));
  const fittingWith = scaledFitting(params);
  return (factors, variance = 0) => {
    const fitting = fittingWith(factors);
    const sum = trials.reduce((all, trial) => all + trial.errorOf({ factors, variance, grid, fitting }), 0);
    return sum / trials.length;
  };
}

/** How ranges are searched when layers are rounded with factors. */
export function scaledFitting(
  params: Pick<FactorErrorParams, "layers" | "calibrator" | "hessian" | "math">,
): (factors: Float32Array) => Fitting {
  const { calibrator, math } = params;
  const energies = diagonalOf(params.hessian, params.layers[0]!.columns);
  return (factors) => ({
    calibrator,
    importance: columnImportance(energies.map((energy, j) => energy / factors[j]! ** 2)),
    math,
  });
}

/** A layer that is rounded again and again. */
class LayerTrials {
  readonly #layer: Matrix;
  readonly #hessian: Float32Array;
  readonly #math: MathKernels;
  /** Weights with factors, then what rounding changes of them. */
  readonly #values: Float32Array;
  readonly #products: Float32Array;
  /** tr(W H W^T); 1 where there is none. */
  readonly #signal: number;

  constructor(layer: Matrix, hessian: Float32Array, math: MathKernels) {
    this.#layer = layer;
    this.#hessian = hessian;
    this.#math = math;
    this.#values = new Float32Array(layer.values.length);
    this.#products = new Float32Array(layer.values.length);
    this.#signal = this.#trace(layer.values) || 1;
  }

  errorOf(params: {
    readonly factors: Float32Array;
    readonly variance: number;
    readonly grid: Grid;
    readonly fitting: Fitting;
  }): number {
    const { factors, variance, grid, fitting } = params;
    const { rows, columns, values: weights } = this.#layer;
    const values = this.#values;
    let energy = 0;
    for (let start = 0; start < values.length; start += columns) {
      for (let j = 0; j < columns; j++) {
        const value = weights[start + j]! * factors[j]!;
        values[start + j] = value;
        energy += value * value;
      }
    }
    const matrix = { rows, columns, values };
    const rounded = nearest().round({ matrix, grid, fitting, math: this.#math });
    for (let start = 0; start < values.length; start += columns) {
      for (let j = 0; j < columns; j++) {
        values[start + j] = weights[start + j]! - rounded.values[start + j]! / factors[j]!;
      }
    }
    return (this.#trace(values) + variance * energy) / this.#signal;
  }

  /** tr(A H A^T) */
  #trace(a: Float32Array): number {
    const { rows: m, columns: n } = this.#layer;
    const c = this.#products;
    this.#math.gemm({ m, n, k: n, a, b: this.#hessian, c });
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i]! * c[i]!;
    return Math.max(sum, 0);
  }
}

/** Of so many rows, at most, whole tiles of rows apart, evenly spread: so that a search costs less. */
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
