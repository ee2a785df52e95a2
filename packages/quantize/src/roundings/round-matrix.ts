import { QuernError } from "@quern/tensor";
import type { Calibrator } from "../calibrators/calibrator.ts";
import type { FittedGrid, Grid } from "../grids/grid.ts";
import { checkMatrix, type Matrix } from "../matrix.ts";
import type { Rounded, Rounding, RoundingTask } from "./rounding.ts";

export interface CombinationParams {
  readonly grid: Grid;
  readonly rounding: Rounding;
  readonly calibrator?: Calibrator | undefined;
  readonly shape: Pick<Matrix, "rows" | "columns">;
}

/** Why a combination makes no sense for matrices of a shape, if it does not: what a plan checks before weights are read. */
export function refuseCombination(params: CombinationParams): string | undefined {
  const { grid, rounding, calibrator, shape } = params;
  const refusal = rounding.refuses(grid, shape);
  if (refusal !== undefined) return refusal;
  const unit = grid.unitOf(shape);
  const values = Math.min(unit.rows, shape.rows) * Math.min(unit.columns, shape.columns);
  if (calibrator && values < calibrator.fewestValues) {
    return `calibrator ${calibrator.name} needs ${calibrator.fewestValues} values, but tiles of ${grid.name} have ${values}`;
  }
  return undefined;
}

/**
 * Rounds a matrix on a grid.
 *
 * @throws QuernError `QUANTIZE_COMBINATION` for what makes no sense, `QUANTIZE_INPUT_MISSING` where the rounding needs more,
 * `QUANTIZE_SHAPE`, `QUANTIZE_NOT_FINITE`, `QUANTIZE_HESSIAN_SINGULAR`
 */
export function roundMatrix<F extends FittedGrid>(
  task: RoundingTask<F> & { readonly rounding: Rounding },
): Rounded<F> {
  const { matrix, grid, rounding, calibrator, importance, hessian, cross } = task;
  checkMatrix(matrix);
  const refusal = refuseCombination({ grid, rounding, calibrator, shape: matrix });
  if (refusal !== undefined) throw new QuernError("QUANTIZE_COMBINATION", refusal);
  for (const need of rounding.needs) {
    if (task[need] === undefined || task.math === undefined) {
      throw new QuernError(
        "QUANTIZE_INPUT_MISSING",
        `rounding ${rounding.name} needs ${need === "hessian" ? "the Hessian of the layer's inputs" : "the cross products of the inputs before and after quantization"}, and kernels`,
        { subject: { key: need } },
      );
    }
  }
  const { columns } = matrix;
  checkLength("importance", importance, columns);
  checkLength("hessian", hessian?.matrix, columns * columns);
  checkLength("cross", cross, columns * columns);
  checkLength("feedback", task.feedback?.order, columns);
  if (importance?.some((value) => !(value >= 0 && value < Infinity))) {
    throw new QuernError("QUANTIZE_NOT_FINITE", "importance must be finite and not negative");
  }
  return rounding.round({
    ...task,
    importance: importance ?? (hessian && diagonal(hessian.matrix, columns)),
  });
}

function checkLength(key: string, array: ArrayLike<number> | undefined, expected: number): void {
  if (array && array.length !== expected) {
    throw new QuernError(
      "QUANTIZE_SHAPE",
      `${key} has ${array.length} numbers, but ${expected} were expected`,
      {
        subject: { key },
      },
    );
  }
}

function diagonal(matrix: Float64Array, n: number): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => Math.max(matrix[i * (n + 1)]!, 0));
}
