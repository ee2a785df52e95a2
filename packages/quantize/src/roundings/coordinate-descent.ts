import { QuernError } from "@quern/tensor";
import type { FittedGrid } from "../grids/grid.ts";
import { diagonalOf } from "../hessian/column-importance.ts";
import { damped, type Damped, dampingFor } from "../hessian/damping.ts";
import type { Hessian } from "../hessian/hessian.ts";
import { refine } from "../refinement/refine.ts";
import { nearest } from "./nearest.ts";
import type { Rounded, Rounding, RoundingTask } from "./rounding.ts";

export interface CoordinateDescentOptions {
  /** @default 3 */
  readonly passes?: number;
  /** Whether scales are fitted once more to the codes, before each of the passes. @default false */
  readonly refitScales?: boolean;
  /** Share of the mean of the Hessian's diagonal that is added to it. @default by tokens per column: see `dampingFor` */
  readonly damping?: number;
}

/** Rounds to nearest, then changes one code after another to what is best with the others as they are. */
export function coordinateDescent(options: CoordinateDescentOptions = {}): Rounding {
  const { passes = 3, refitScales = false } = options;
  if (!(Number.isInteger(passes) && passes >= 1 && (options.damping ?? 0) >= 0)) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      "coordinate descent takes passes from 1 on and a damping that is not negative",
    );
  }
  const dampingOf = (hessian: Hessian, columns: number): Damped =>
    damped(diagonalOf(hessian.matrix, columns), options.damping ?? dampingFor(hessian.tokens, columns));
  return {
    name: "coordinate-descent",
    needs: ["hessian"],
    refuses: () => undefined,
    round<F extends FittedGrid>(task: RoundingTask<F>): Rounded<F> {
      const { matrix, math } = task;
      const { hessian, feedback } = task;
      const change = feedback ?? dampingOf(hessian!, matrix.columns);
      const { damping, deadColumns } = change;
      const rounded = { ...nearest().round(task), damping, deadColumns };
      const refinement = { hessian, damping, damped: feedback?.hessian, passes, refitScales };
      refine({ matrix, rounded, ...refinement, math: math! });
      return rounded;
    },
  };
}
