import { QuernError } from "@quern/tensor";
import type { Calibrator } from "../calibrators/calibrator.ts";
import type { FittedGrid, Grid } from "../grids/grid.ts";
import { columnImportance, diagonalOf } from "../hessian/column-importance.ts";
import { checkMatrix, type Matrix } from "../matrix.ts";
import type { Rounded, Rounding, RoundingInputs } from "./rounding.ts";

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
  if (calibrator && grid.searchesScales) {
    return `${grid.name} searches its scales itself, without a calibrator such as ${calibrator.name}`;
  }
  const unit = grid.unitOf(shape);
  const values = Math.min(unit.rows, shape.rows) * Math.min(unit.columns, shape.columns);
  if (calibrator && values < calibrator.fewestValues) {
    return `calibrator ${calibrator.name} needs ${calibrator.fewestValues} values, but tiles of ${grid.name} have ${values}`;
  }
  return undefined;
}

export interface RoundMatrixParams<F extends FittedGrid> extends RoundingInputs {
  readonly matrix: Matrix;
  readonly grid: Grid<F>;
  readonly rounding: Rounding;
  /** Chooses the range of each tile. @default that of its values */
  readonly calibrator?: Calibrator | undefined;
  /** By column: what errors count while ranges are searched. @default the diagonal of the Hessian where there is one, otherwise all alike */
  readonly importance?: Float32Array | undefined;
  /** Whether, while ranges are searched, the errors of a tile count as `e H e^T` instead, which takes longer. @default false */
  readonly searchInHessian?: boolean | undefined;
}

/**
 * Rounds a matrix on a grid.
 *
 * @throws QuernError `QUANTIZE_COMBINATION` for what makes no sense, `QUANTIZE_INPUT_MISSING` where the rounding needs more,
 * `QUANTIZE_SHAPE`, `QUANTIZE_NOT_FINITE`, `QUANTIZE_SCALE_TOO_LARGE`, `QUANTIZE_HESSIAN_SINGULAR`
 */
export function roundMatrix<F extends FittedGrid>(params: RoundMatrixParams<F>): Rounded<F> {
  const { matrix, grid, rounding, calibrator, importance, searchInHessian = false, ...inputs } = params;
  const { hessian, cross, feedback } = inputs;
  checkMatrix(matrix);
  const refusal = refuseCombination({ grid, rounding, calibrator, shape: matrix });
  if (refusal !== undefined) throw new QuernError("QUANTIZE_COMBINATION", refusal);
  checkInputs(rounding.needs, inputs, `rounding ${rounding.name}`);
  if (searchInHessian)
    checkInputs(["hessian"], { hessian, math: inputs.math }, "a search for ranges in the Hessian");
  const { columns } = matrix;
  checkLength("importance", importance, columns);
  checkLength("hessian", hessian?.matrix, columns * columns);
  checkLength("cross", cross, columns * columns);
  checkLength("feedback", feedback?.order, columns);
  if (importance?.some((value) => !(value >= 0 && value < Infinity))) {
    throw new QuernError("QUANTIZE_NOT_FINITE", "importance must be finite and not negative");
  }
  const fitting = {
    calibrator,
    importance: importance ?? (hessian && columnImportance(diagonalOf(hessian.matrix, columns))),
    hessian: searchInHessian ? hessian!.matrix : undefined,
    math: inputs.math,
  };
  return rounding.round({ ...inputs, matrix, grid, fitting });
}

const DESCRIPTIONS = {
  hessian: "the Hessian of the layer's inputs",
  cross: "the cross products of the inputs before and after quantization",
} as const;

function checkInputs(needs: Rounding["needs"], inputs: RoundingInputs, who: string): void {
  for (const need of needs) {
    const known = inputs[need] !== undefined || (need === "hessian" && inputs.feedback !== undefined);
    if (known && inputs.math !== undefined) continue;
    throw new QuernError("QUANTIZE_INPUT_MISSING", `${who} needs ${DESCRIPTIONS[need]}, and kernels`, {
      subject: { key: need },
    });
  }
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
