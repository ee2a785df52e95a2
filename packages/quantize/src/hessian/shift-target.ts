import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Matrix } from "../matrix.ts";
import type { Hessian } from "./hessian.ts";
import { dampedHessian } from "./damping.ts";

export interface ShiftTargetParams {
  readonly matrix: Matrix;
  /** Of the inputs that the quantized model has, X_q. */
  readonly hessian: Hessian;
  /** columns x columns: (X_f - X_q)^T X_q, with the inputs X_f of the original model; summed over the same tokens. */
  readonly cross: Float64Array;
  /** How much of the shift is made: both matrices are noisy. @default 0.25 */
  readonly share?: number;
  /** Added to the diagonal of the Hessian, as a share of its mean. */
  readonly damping: number;
  readonly math: MathKernels;
}

/**
 * The weights that on the quantized model's inputs come nearest to what the original weights make of the original ones:
 * W + share * W C H^-1. Rounding them with H minimizes what GPTAQ (Li et al. 2025) does, on any grid and with any rounding.
 *
 * @throws QuernError `QUANTIZE_HESSIAN_SINGULAR`
 */
export function shiftTarget(params: ShiftTargetParams): Matrix {
  const { matrix, hessian, cross, share = 0.25, damping, math } = params;
  const { rows, columns, values } = matrix;
  const factor = dampedHessian(hessian, columns, damping);
  const pivot = math.cholesky({ matrix: factor, n: columns });
  if (pivot !== undefined) {
    throw new QuernError(
      "QUANTIZE_HESSIAN_SINGULAR",
      `the Hessian of ${columns} inputs is not positive definite from column ${pivot} on; more damping is needed`,
      { subject: { offset: pivot } },
    );
  }
  const product = new Float32Array(rows * columns);
  const b = new Float32Array(cross);
  math.gemm({ m: rows, n: columns, k: columns, a: values, b, c: product });
  // H is symmetric: W C H^-1 is the transpose of H^-1 (W C)^T.
  const transposed = new Float64Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      transposed[column * rows + row] = product[row * columns + column]!;
    }
  }
  math.solve({ factor, n: columns, b: transposed, columns: rows });
  const shifted = values.map((value, i) => {
    const row = Math.floor(i / columns);
    return value + share * transposed[(i - row * columns) * rows + row]!;
  });
  return { rows, columns, values: shifted };
}
