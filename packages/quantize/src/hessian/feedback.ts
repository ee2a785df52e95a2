import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Hessian } from "./hessian.ts";
import { allocate } from "./allocate.ts";
import { damped, dampedFloats, type Damped } from "./damping.ts";

/** How errors of columns that are rounded change the columns that follow. */
export interface Feedback {
  /** Column that is rounded at each place. */
  readonly order: Int32Array;
  /** columns x columns, by place, zero on and below the diagonal: the error of place i times factor (i, j) is added to place j. */
  readonly factors: Float32Array;
  /** columns x columns, damped, for refinement. @default it is made where it is needed */
  readonly hessian?: Float32Array | undefined;
  readonly damping: number;
  readonly deadColumns: readonly number[];
}

export interface FeedbackParams {
  readonly hessian: Hessian;
  /** Column that is rounded at each place, all of them: see `columnOrder`. */
  readonly order: Int32Array;
  /** Of the first attempt; doubled after each that fails. */
  readonly damping: number;
  /** Whether there will be a refinement: then the damped Hessian comes with the feedback. @default false */
  readonly refines?: boolean | undefined;
  /** Whether the arrays lie in shared memory, for threads that divide the rows of matrices. @default false */
  readonly shared?: boolean | undefined;
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
  const { hessian, math, refines = false, shared = false } = params;
  const n = params.order.length;
  const order = shared ? new Int32Array(allocate(4 * n, shared)) : params.order;
  order.set(params.order);
  for (let wanted = params.damping; wanted <= MOST_DAMPING; wanted = Math.max(2 * wanted, 0.01)) {
    const change = damped(hessian, n, wanted);
    const { damping, deadColumns } = change;
    const triangle = reversed(hessian.matrix, order, change);
    if (math.cholesky({ matrix: triangle, n }) === undefined) {
      const factors = feedbackFactors(triangle, n, shared);
      const refining = refines && { hessian: dampedFloats(hessian, n, change, shared) };
      return { order, factors, damping, deadColumns, ...refining };
    }
  }
  throw new QuernError(
    "QUANTIZE_HESSIAN_SINGULAR",
    `the Hessian of ${n} inputs is not positive definite, even with ${MOST_DAMPING} times its mean diagonal added`,
  );
}

/** The lower triangle of the damped Hessian by place, the last one first. */
function reversed(hessian: Float64Array, order: Int32Array, { diagonal, deadColumns }: Damped): Float64Array {
  const n = order.length;
  const backwards = order.slice().reverse();
  const dead = new Uint8Array(n);
  for (const column of deadColumns) dead[column] = 1;
  const result = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const column = backwards[i]!;
    const from = column * n;
    if (!dead[column]) {
      for (let j = 0; j < i; j++) result[i * n + j] = hessian[from + backwards[j]!]!;
    }
    result[i * (n + 1)] = diagonal[column]!;
  }
  for (let j = 0; j < n && deadColumns.length > 0; j++) {
    for (let i = j + 1; i < n && dead[backwards[j]!]; i++) result[i * n + j] = 0;
  }
  return result;
}

function feedbackFactors(triangle: Float64Array, n: number, shared: boolean): Float32Array {
  const factors = new Float32Array(allocate(4 * n ** 2, shared));
  const inverses = Float64Array.from({ length: n }, (_, j) => 1 / triangle[(n - 1 - j) * (n + 1)]!);
  for (let i = 0; i < n; i++) {
    const row = (n - 1 - i) * n + n - 1;
    const target = i * n;
    for (let j = i + 1; j < n; j++) factors[target + j] = triangle[row - j]! * inverses[j]!;
  }
  return factors;
}
