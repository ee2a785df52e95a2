import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Hessian } from "./hessian.ts";
import { type Allocate, ownMemory } from "./allocate.ts";
import { diagonalOf } from "./column-importance.ts";
import { applyDamping, damped, type Damped } from "./damping.ts";
import type { ShiftSolver } from "./shift-target.ts";

/** How errors of columns that are rounded change the columns that follow. */
export interface Feedback {
  /** Column that is rounded at each place. */
  readonly order: Int32Array;
  /** columns x columns, by place, zero on and below the diagonal: the error of place i times factor (i, j) is added to place j. */
  readonly factors: Float32Array;
  /** columns x columns, damped, for refinement. @default it is made where it is needed */
  readonly hessian?: Float32Array | undefined;
  /** For targets that make up for earlier layers. */
  readonly solver?: ShiftSolver | undefined;
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
  /** columns x columns, for targets that make up for earlier layers: see `shiftTarget`. @default there will be none */
  readonly cross?: Float64Array | undefined;
  /**
   * Whether the Hessian's own memory may be worked in, so that there is no second one of its size: nothing of it is left, and it counts with
   * the precision of F32, which is that of statistics files. @default false
   */
  readonly overwrites?: boolean | undefined;
  /** Where the arrays lie, and what is needed to make them. @default memory of its own */
  readonly allocate?: Allocate | undefined;
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
  const { hessian, math, cross, refines = false, overwrites = false, allocate = ownMemory } = params;
  const n = params.order.length;
  const order = new Int32Array(allocate(4 * n));
  order.set(params.order);
  const energies = diagonalOf(hessian.matrix, n);
  const copy = overwrites || refines ? floats(hessian.matrix, allocate) : undefined;
  const [source, triangle] = overwrites
    ? [copy!, hessian.matrix]
    : [hessian.matrix, new Float64Array(allocate(8 * n ** 2))];
  for (let wanted = params.damping; wanted <= MOST_DAMPING; wanted = Math.max(2 * wanted, 0.01)) {
    const change = damped(energies, wanted);
    const { damping, deadColumns } = change;
    const factorized = (products: "F32" | "F64"): boolean => {
      fillReversed(triangle, source, order, change);
      return math.cholesky({ matrix: triangle, n, products }) === undefined;
    };
    // Factors are F32 anyway; where inputs follow from each other so closely that this is not enough, it says so.
    if ((cross === undefined && factorized("F32")) || factorized("F64")) {
      const free = refines ? undefined : copy;
      const factors = feedbackFactors(triangle, n, free ?? new Float32Array(allocate(4 * n ** 2)));
      if (refines) applyDamping(copy!, n, change);
      const refining = refines && { hessian: copy! };
      const solver = cross && { cross: floats(cross, allocate), factor: triangle, places: backwards(order) };
      return { order, factors, damping, deadColumns, ...refining, ...(solver && { solver }) };
    }
  }
  throw new QuernError(
    "QUANTIZE_HESSIAN_SINGULAR",
    `the Hessian of ${n} inputs is not positive definite, even with ${MOST_DAMPING} times its mean diagonal added`,
  );
}

/** The lower triangle of the damped Hessian by place, the last one first. */
function fillReversed(
  result: Float64Array,
  hessian: Float64Array | Float32Array,
  order: Int32Array,
  { diagonal, deadColumns }: Damped,
): void {
  const n = order.length;
  const columns = backwards(order);
  const dead = new Uint8Array(n);
  for (const column of deadColumns) dead[column] = 1;
  for (let i = 0; i < n; i++) {
    const column = columns[i]!;
    const from = column * n;
    if (dead[column]) result.fill(0, i * n, i * n + i);
    else {
      for (let j = 0; j < i; j++) result[i * n + j] = hessian[from + columns[j]!]!;
    }
    result[i * (n + 1)] = diagonal[column]!;
  }
  for (let j = 0; j < n && deadColumns.length > 0; j++) {
    for (let i = j + 1; i < n && dead[columns[j]!]; i++) result[i * n + j] = 0;
  }
}

function backwards(order: Int32Array): Int32Array {
  return order.slice().reverse();
}

function floats(values: Float64Array, allocate: Allocate): Float32Array {
  const result = new Float32Array(allocate(4 * values.length));
  result.set(values);
  return result;
}

function feedbackFactors(triangle: Float64Array, n: number, factors: Float32Array): Float32Array {
  const inverses = Float64Array.from({ length: n }, (_, j) => 1 / triangle[(n - 1 - j) * (n + 1)]!);
  for (let i = 0; i < n; i++) {
    const row = (n - 1 - i) * n + n - 1;
    const target = i * n;
    factors.fill(0, target, target + i + 1);
    for (let j = i + 1; j < n; j++) factors[target + j] = triangle[row - j]! * inverses[j]!;
  }
  return factors;
}
