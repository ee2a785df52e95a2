import type { MathKernels } from "@quern/kernels";
import type { Calibrator } from "../calibrators/calibrator.ts";
import type { Grid } from "../grids/grid.ts";
import type { Hessian } from "../hessian/hessian.ts";
import type { Matrix } from "../matrix.ts";

/**
 * Rewrites weights without changing what the model computes: input columns are multiplied by factors, and what makes the inputs (a norm, a
 * linear layer) is divided by them.
 */
export interface Transform {
  readonly name: string;
  /** What a task has to have. */
  readonly needs: readonly ("hessian" | "meanMagnitudes" | "largestMagnitudes" | "grid" | "math")[];
  /** Whether it goes by `parentError` where a task has that. @default false */
  readonly comparesParents?: boolean;
  /** Called through `chooseFactors`, which has checked the task. */
  choose(task: TransformTask): ChosenFactors;
}

export interface TransformTask {
  /** All layers that read the inputs; of the same number of columns. */
  readonly layers: readonly Matrix[];
  readonly grid?: Grid | undefined;
  readonly calibrator?: Calibrator | undefined;
  readonly hessian?: Hessian | undefined;
  /** By column: mean of |x|. */
  readonly meanMagnitudes?: Float32Array | undefined;
  /** By column: largest |x|, or a percentile of it. */
  readonly largestMagnitudes?: Float32Array | undefined;
  readonly math?: MathKernels | undefined;
  /**
   * What the output of the module around the layers loses when they become these, a share of it: of a feed-forward network, for the layers
   * that read its input.
   */
  readonly parentError?: ((changed: readonly Matrix[]) => number) | undefined;
}

export interface ChosenFactors {
  /** By column, positive and finite. */
  readonly factors: Float32Array;
  /** Whatever exponent they were made with. */
  readonly exponent: number;
  /** Relative output error of the layers, or of what is around them, for each exponent that was tried. */
  readonly tried: readonly { readonly exponent: number; readonly error: number }[];
}

/** The layer with its columns multiplied by factors. */
export function scaleColumns({ rows, columns, values }: Matrix, factors: Float32Array): Matrix {
  return { rows, columns, values: values.map((value, i) => value * factors[i % columns]!) };
}

/** The Hessian of inputs that are divided by factors. */
export function scaleHessian({ matrix, tokens }: Hessian, factors: Float32Array): Hessian {
  const n = factors.length;
  return {
    matrix: matrix.map((value, i) => value / (factors[Math.floor(i / n)]! * factors[i % n]!)),
    tokens,
  };
}
