import type { MathKernels } from "@quern/kernels";
import type { Fitting, FittedGrid, Grid } from "../grids/grid.ts";
import type { Feedback } from "../hessian/feedback.ts";
import type { Allocate } from "../hessian/allocate.ts";
import type { Hessian } from "../hessian/hessian.ts";
import type { Matrix } from "../matrix.ts";

/** Chooses the parameters of a grid, and a code for each weight. */
export interface Rounding {
  readonly name: string;
  /** What a task has to have besides weights and a grid. */
  readonly needs: readonly ("hessian" | "cross")[];
  /** Whether a code depends on more than its row: parts of a matrix are not rounded apart. @default false */
  readonly wholeMatrix?: true;
  /** Why a grid makes no sense here, if it does not. */
  refuses(grid: Grid, shape: Pick<Matrix, "rows" | "columns">): string | undefined;
  /**
   * What is made of what is known of inputs alone: to be given to all tasks with these inputs, whose codes stay the same. Absent where there is nothing
   * of the kind.
   *
   * @throws QuernError `QUANTIZE_HESSIAN_SINGULAR`, `QUANTIZE_NOT_FINITE`
   */
  prepare?(params: PrepareParams): Feedback;
  /** Whether what `prepare` makes depends on the units of the grid. @default false */
  readonly preparesByUnit?: boolean;
  /** Called through `roundMatrix`, which has checked the task. */
  round<F extends FittedGrid>(task: RoundingTask<F>): Rounded<F>;
}

export interface PrepareParams {
  readonly hessian: Hessian;
  readonly cross?: Float64Array | undefined;
  readonly grid: Grid;
  /** Of one of the layers. */
  readonly shape: Pick<Matrix, "rows" | "columns">;
  /** Whether the Hessian's own memory may be worked in: see `errorFeedback`. @default false */
  readonly overwrites?: boolean | undefined;
  /** Where the result lies, and what is needed to make it. @default memory of its own */
  readonly allocate?: Allocate | undefined;
  readonly math: MathKernels;
}

/** What roundings may need. */
export interface RoundingInputs {
  readonly hessian?: Hessian | undefined;
  /**
   * What `errorFeedback` has made of the Hessian, for several layers that share their inputs, or several parts of the rows of one: plain
   * data. It decides about order and damping, and stands for the Hessian where there is none. @default it is made
   */
  readonly feedback?: Feedback | undefined;
  /** columns x columns, `(X_f - X_q)^T X_q` of inputs before and after earlier layers were quantized: see `shiftTarget`. */
  readonly cross?: Float64Array | undefined;
  readonly math?: MathKernels | undefined;
}

export interface RoundingTask<F extends FittedGrid = FittedGrid> extends RoundingInputs {
  readonly matrix: Matrix;
  readonly grid: Grid<F>;
  /** How units of the grid are fitted. */
  readonly fitting: Fitting;
}

export interface Rounded<F extends FittedGrid = FittedGrid> {
  /** Settled. */
  readonly grid: F;
  /** rows x columns */
  readonly codes: Uint8Array;
  /** What the codes mean. */
  readonly values: Float32Array;
  /** Share of the mean of the Hessian's diagonal that was added to it. */
  readonly damping?: number;
  /** Columns whose inputs were always 0. */
  readonly deadColumns?: readonly number[];
}
