import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import { columnOrder, type ColumnOrder } from "../hessian/column-order.ts";
import { dampingFor } from "../hessian/damping.ts";
import { errorFeedback, type Feedback } from "../hessian/feedback.ts";
import { refine } from "../refinement/refine.ts";
import { shiftTarget } from "../hessian/shift-target.ts";
import type { FittedGrid } from "../grids/grid.ts";
import type { Matrix } from "../matrix.ts";
import { decodeMatrix } from "../grids/matrix-codes.ts";
import { compensate } from "./compensate.ts";
import type { PrepareParams, Rounded, Rounding, RoundingTask } from "./rounding.ts";

export interface GptqOptions {
  /** @default "natural" */
  readonly order?: ColumnOrder;
  /** Whether tiles are fitted to the weights as they are at first, or as they have become when their first column is reached. @default "static" */
  readonly tiles?: "static" | "dynamic";
  /** Share of the mean of the Hessian's diagonal that is added to it. @default by tokens per column: see `dampingFor` */
  readonly damping?: number;
  /** Passes of coordinate descent after the first rounding. @default 0 */
  readonly passes?: number;
  /** Whether scales are fitted once more to the codes, before each of the passes. @default false */
  readonly refitScales?: boolean;
  /** Whether scales of small tiles are searched once more together with codes, in blocks of the Hessian, before each of the passes. @default false */
  readonly searchScales?: boolean;
  /** How far weights are moved towards what makes up for earlier layers' errors (GPTAQ); above 0, tasks need `cross`. @default 0 */
  readonly shift?: number;
}

/**
 * GPTQ (Frantar et al. 2023): columns are rounded one after another, and what a column gets wrong is made up for by those that follow. Done
 * as LDLQ, which gives the same codes and inverts nothing.
 */
export function gptq(options: GptqOptions = {}): Rounding {
  const {
    order = "natural",
    tiles = "static",
    passes = 0,
    refitScales = false,
    searchScales = false,
    shift = 0,
  } = options;
  if (!(Number.isInteger(passes) && passes >= 0 && shift >= 0 && shift <= 1 && (options.damping ?? 0) >= 0)) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      "GPTQ takes a whole number of passes, a shift from 0 to 1 and a damping that is not negative",
    );
  }
  if (order === "descending" && tiles === "dynamic") {
    throw new QuernError(
      "QUANTIZE_OPTION",
      "in descending order of all columns, tiles cannot be fitted as they are entered: their columns are not rounded together",
    );
  }
  const prepare = (params: PrepareParams): Feedback => {
    const { hessian, cross, grid, shape, overwrites, allocate, math } = params;
    const { columns } = shape;
    const width = grid.unitOf(shape).columns;
    return errorFeedback({
      hessian,
      order: columnOrder({ order, hessian: hessian.matrix, columns, width }),
      damping: options.damping ?? dampingFor(hessian.tokens, columns),
      refines: passes > 0 || refitScales,
      ...(shift > 0 && { cross }),
      overwrites,
      allocate,
      math,
    });
  };
  return {
    name: "gptq",
    prepare,
    preparesByUnit: order === "descending-tiles",
    needs: shift > 0 ? ["hessian", "cross"] : ["hessian"],
    refuses(grid, shape) {
      const unit = grid.unitOf(shape);
      return tiles === "dynamic" && unit.rows > 1 && unit.columns < shape.columns
        ? `tiles of ${grid.name} have ${unit.rows} rows, so that they cannot be fitted while the rows are rounded; fit them before ("static")`
        : undefined;
    },
    round<F extends FittedGrid>(task: RoundingTask<F>): Rounded<F> {
      const { grid, fitting } = task;
      const { hessian } = task;
      const math = task.math!;
      const { columns } = task.matrix;
      const feedback = task.feedback ?? prepare({ ...task, hessian: hessian!, shape: task.matrix, math });
      const matrix = shift > 0 ? shifted(task.matrix, { feedback, share: shift, math }) : task.matrix;
      const fitted = grid.open(matrix);
      const width = fitted.unit.columns;
      // A tile of all columns is entered before anything is rounded.
      const dynamic = tiles === "dynamic" && width < columns;
      if (!dynamic) {
        fitted.fit({ ...fitting, values: matrix.values });
        fitted.settle();
      }
      const codes = compensate({
        matrix,
        grid: fitted,
        feedback,
        math,
        fitting: dynamic ? fitting : undefined,
      });
      if (dynamic) fitted.settle();
      const rounded = {
        grid: fitted,
        codes,
        values: decodeMatrix({ grid: fitted, shape: matrix, codes, math }),
        damping: feedback.damping,
        deadColumns: feedback.deadColumns,
      };
      const refinement = {
        hessian,
        damping: feedback.damping,
        damped: feedback.hessian,
        passes,
        refitScales,
        searchScales,
      };
      refine({ matrix, rounded, ...refinement, math });
      return rounded;
    },
  };
}

function shifted(
  matrix: Matrix,
  params: { readonly feedback: Feedback; readonly share: number; readonly math: MathKernels },
): Matrix {
  const { feedback, share, math } = params;
  if (feedback.solver) return shiftTarget({ matrix, solver: feedback.solver, share, math });
  throw new QuernError("QUANTIZE_INPUT_MISSING", "a shift needs feedback that was made with `cross`", {
    subject: { key: "feedback" },
  });
}
