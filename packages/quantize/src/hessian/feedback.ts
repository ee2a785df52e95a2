import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Hessian } from "./hessian.ts";
import { dampHessian } from "./damping.ts";

/** How errors of columns that are rounded change the columns that follow. */
export interface Feedback {
  /** Column that is rounded at each place. */
  readonly order: Int32Array;
  /** columns x columns, by place, zero on and below the diagonal: the error of place i times factor (i, j) is added to place j. */
  readonly factors: Float32Array;
  readonly damping: number;
  readonly deadColumns: readonly number[];
}

export interface FeedbackParams {
  readonly hessian: Hessian;
  /** Column that is rounded at each place, all of them: see `columnOrder`. */
  readonly order: Int32Array;
  /** Of the first attempt; doubled after each that fails. */
  readonly damping: number;
  readonly math: MathKernels;
}

const MOST_DAMPING = 10;

/**
 * LDLQ's factors (Chee et al. 2023, "QuIP", section 4): with H = R R^T, R upper triangular, they are R diag(R)^-1 - I. They give the codes
 * of GPTQ without an inverse. R is the Cholesky factor of H with its rows and columns in reverse, itself reversed.
 *
 * @throws QuernError `QUANTIZE_HESSIAN_SINGULAR` where damping does not help.
 */
export function errorFeedback(params: FeedbackParams): Feedback {
  const { hessian, order, math } = params;
  const n = order.length;
  for (let wanted = params.damping; wanted <= MOST_DAMPING; wanted = Math.max(2 * wanted, 0.01)) {
    const { matrix, damping, deadColumns } = dampHessian(hessian, n, wanted);
    const reversed = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      const from = order[n - 1 - i]! * n;
      for (let j = 0; j <= i; j++) reversed[i * n + j] = matrix[from + order[n - 1 - j]!]!;
    }
    if (math.cholesky({ matrix: reversed, n }) === undefined) {
      return { order, factors: feedbackFactors(reversed, n), damping, deadColumns };
    }
  }
  throw new QuernError(
    "QUANTIZE_HESSIAN_SINGULAR",
    `the Hessian of ${n} inputs is not positive definite, even with ${MOST_DAMPING} times its mean diagonal added`,
  );
}

function feedbackFactors(reversed: Float64Array, n: number): Float32Array {
  const factors = new Float32Array(n * n);
  const inverses = Float64Array.from({ length: n }, (_, j) => 1 / reversed[(n - 1 - j) * (n + 1)]!);
  for (let i = 0; i < n; i++) {
    const row = (n - 1 - i) * n + n - 1;
    for (let j = i + 1; j < n; j++) factors[i * n + j] = reversed[row - j]! * inverses[j]!;
  }
  return factors;
}
