import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import { dampedFloats } from "../hessian/damping.ts";
import type { Hessian } from "../hessian/hessian.ts";
import { spans, type Span } from "../hessian/spans.ts";
import type { Matrix } from "../matrix.ts";
import type { Rounded } from "../roundings/rounding.ts";
import { descendCodes } from "./descend-codes.ts";
import { refitParameters } from "./refit-parameters.ts";
import { searchParameters } from "./search-parameters.ts";

export interface RefineParams {
  /** What is to be approximated. */
  readonly matrix: Matrix;
  /** Changed in place: codes, values, and where scales are refitted the grid. */
  readonly rounded: Rounded;
  /** Not needed where there is the damped one. */
  readonly hessian?: Hessian | undefined;
  /** Share of the mean of the Hessian's diagonal that is added to it. */
  readonly damping: number;
  /** The Hessian with it, of `errorFeedback`. @default it is made */
  readonly damped?: Float32Array | undefined;
  readonly passes: number;
  readonly refitScales: boolean;
  /** Whether scales are searched with codes, before each of the passes. @default false */
  readonly searchScales?: boolean;
  readonly math: MathKernels;
}

/** What the steps of a refinement share. */
export interface RefinementState {
  readonly matrix: Matrix;
  readonly rounded: Rounded;
  /** columns x columns, damped. */
  readonly hessian: Float32Array;
  /** rows x columns: weights less values. */
  readonly errors: Float32Array;
  /** Memory to work in, rows x the width of a span each. */
  readonly room: {
    readonly gradients: Float32Array;
    readonly products: Float32Array;
    readonly factors: Float32Array;
  };
  readonly math: MathKernels;
}

/**
 * Makes tr((W - V) H (W - V)^T) of a rounding smaller, by changing scales, if wanted, and codes of some columns after the other; no step
 * makes it larger.
 */
export function refine(params: RefineParams): void {
  const { matrix, rounded, hessian, damping, passes, refitScales, searchScales = false, math } = params;
  if (passes === 0 && !refitScales) return;
  const { rows, columns } = matrix;
  const errors = new Float32Array(rows * columns);
  math.updateDifferences({ rows, columns, a: matrix.values, b: rounded.values, c: errors });
  const width = spanWidth(rounded.grid.unit.columns);
  const size = rows * Math.min(width, columns);
  const refitting = refitScales ? size : 0;
  const state: RefinementState = {
    matrix,
    rounded,
    hessian: params.damped ?? dampedFloats(given(hessian), columns, damping),
    errors,
    room: {
      gradients: new Float32Array(size),
      products: new Float32Array(refitting),
      factors: new Float32Array(refitting),
    },
    math,
  };
  for (let pass = 0; pass < Math.max(passes, 1); pass++) {
    for (const span of spans(columns, width)) {
      const gradients = gradientOf(state, span);
      if (refitScales) refitParameters(state, span, gradients);
      if (searchScales && passes > 0) searchParameters(state, span, gradients);
      if (passes > 0) descendCodes(state, span, gradients);
    }
  }
}

function given(hessian: Hessian | undefined): Hessian {
  if (hessian !== undefined) return hessian;
  throw new QuernError(
    "QUANTIZE_INPUT_MISSING",
    "passes and refits need the Hessian, or feedback that was made for them",
    { subject: { key: "hessian" } },
  );
}

/** Columns that are refined with one product of matrices, which holds for as long as none but they change. */
const SPAN = 256;

/** Whole units. */
function spanWidth(unit: number): number {
  return unit * Math.max(Math.floor(SPAN / unit), 1);
}

/** rows x (end - start): columns [start, end) of `errors * H`. */
function gradientOf(
  { matrix: { rows, columns }, errors, hessian, room, math }: RefinementState,
  { start, end }: Span,
): Float32Array {
  const c = room.gradients.subarray(0, rows * (end - start));
  const b = hessian.subarray(start);
  math.gemm({ m: rows, n: end - start, k: columns, a: errors, b, bStride: columns, c });
  return c;
}
