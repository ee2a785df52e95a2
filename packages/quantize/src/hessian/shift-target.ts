import type { MathKernels } from "@quern/kernels";
import type { Matrix } from "../matrix.ts";

/** What targets of all matrices with the same inputs are shifted with. */
export interface ShiftSolver {
  /** (X_f - X_q)^T X_q: columns x columns. */
  readonly cross: Float32Array;
  /** The lower Cholesky factor of the damped Hessian of X_q, with its columns in the order of `places`. */
  readonly factor: Float64Array;
  readonly places: Int32Array;
}

export interface ShiftTargetParams {
  readonly matrix: Matrix;
  /** Of `errorFeedback`, with `cross`. */
  readonly solver: ShiftSolver;
  /** How much of the shift is made: both matrices are noisy. @default 0.25 */
  readonly share?: number;
  readonly math: MathKernels;
}

/**
 * The weights that on the quantized model's inputs X_q come nearest to what the original weights make of the original ones X_f:
 * W + share * W C H^-1. Rounding them with H minimizes what GPTAQ (Li et al. 2025) does, on any grid and with any rounding.
 */
export function shiftTarget({ matrix, solver, share = 0.25, math }: ShiftTargetParams): Matrix {
  const { rows, columns, values } = matrix;
  const { cross, factor, places } = solver;
  const product = new Float32Array(rows * columns);
  math.gemm({ m: rows, n: columns, k: columns, a: values, b: cross, c: product });
  // H is symmetric: W C H^-1 is the transpose of H^-1 (W C)^T.
  const transposed = new Float64Array(columns * rows);
  for (let place = 0, i = 0; place < columns; place++) {
    const column = places[place]!;
    for (let row = 0; row < rows; row++) transposed[i++] = product[row * columns + column]!;
  }
  math.solve({ factor, n: columns, b: transposed, columns: rows });
  const shifted = values.slice();
  for (let place = 0, i = 0; place < columns; place++) {
    const column = places[place]!;
    for (let row = 0; row < rows; row++) shifted[row * columns + column]! += share * transposed[i++]!;
  }
  return { rows, columns, values: shifted };
}
