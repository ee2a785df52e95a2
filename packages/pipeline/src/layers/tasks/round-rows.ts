import type { Kernels } from "@quern/kernels";
import {
  correctBias,
  differencesOf,
  type Feedback,
  flattened,
  folded,
  type Grid,
  type Matrix,
  membersOf,
  nearest,
  outputErrorsByRow,
  type QuantizedMatrix,
  type Rounded,
  roundMatrix,
  type TiledGrid,
  type Treatment,
  type TreatmentMembers,
} from "@quern/quantize";
import { about } from "../about-tensor.ts";
import type { RowFigures } from "../row-figures.ts";
import { type OpenReader, readWeights, type RowRange, type Weights } from "./weights.ts";

/** Rounds rows of a layer. Large arrays are in shared memory. */
export interface RoundRowsTask extends RowRange {
  readonly kind: "round-rows";
  readonly weights: Weights;
  readonly treatment: Treatment;
  /** Whether blocks go on from row to row, so that all of the matrix is rounded as one row. */
  readonly flattened: boolean;
  readonly hessian?: { readonly matrix: Float64Array; readonly tokens: number };
  readonly feedback?: Feedback;
  readonly cross?: Float64Array;
  /** By column: what errors count. */
  readonly importance?: Float32Array;
  /** Inputs on which outputs are compared. */
  readonly heldOut?: Float32Array;
  /** Means of the inputs, where the bias of the layer makes up for what outputs lose on average. */
  readonly means?: Float32Array;
  /** Of the layer: rows x columns. */
  readonly codes: Uint8Array;
  /** Where to put the codes of rounding to nearest, if it is wanted for comparison. */
  readonly nearestCodes?: Uint8Array;
}

/** Rows as codes, which are in the memory that the task named. */
export interface RoundedRows {
  readonly matrix: Omit<QuantizedMatrix, "codes">;
  readonly figures: RowFigures;
  /** By row: what the bias gains. */
  readonly biasShift?: Float32Array;
  readonly damping?: number;
  /** How many columns have inputs that were always 0. */
  readonly deadColumns?: number;
}

export interface RoundRowsResult {
  readonly rounded: RoundedRows;
  readonly nearest?: RoundedRows;
}

/** @throws QuernError `WEIGHT_NOT_FINITE`, and the codes of `roundMatrix` with the name of the tensor */
export async function roundRows(
  task: RoundRowsTask,
  kernels: Kernels,
  open: OpenReader,
): Promise<RoundRowsResult> {
  const { weights, treatment, rows } = task;
  const { columns } = weights;
  const members = membersOf(treatment, { kernels });
  const matrix = { rows, columns, values: await readWeights(weights, task, open) };
  const finish = (
    rounding: TreatmentMembers["rounding"],
    codes: Uint8Array,
    known?: RowFigures,
  ): RoundedRows =>
    about(weights.tensor, () => {
      const rounded = round(task, matrix, { ...members, rounding }, kernels);
      codes.set(rounded.matrix.codes, task.firstRow * columns);
      return describe(task, matrix, rounded, kernels, known);
    });
  const rounded = finish(members.rounding, task.codes);
  return {
    rounded,
    ...(task.nearestCodes && { nearest: finish(nearest(), task.nearestCodes, rounded.figures) }),
  };
}

interface RoundedMatrix {
  readonly matrix: QuantizedMatrix;
  readonly values: Float32Array;
  readonly damping?: number;
  readonly deadColumns?: readonly number[];
}

function round(
  task: RoundRowsTask,
  matrix: Matrix,
  { grid, rounding, calibrator, searchInHessian }: TreatmentMembers,
  { math }: Kernels,
): RoundedMatrix {
  const { hessian, feedback, cross, importance } = task;
  const rounded: Rounded<TiledGrid> = roundMatrix({
    matrix: task.flattened ? flattened(matrix) : matrix,
    // Members by name have lost their types: the formats of checkpoints have grids of tiles.
    grid: grid as Grid<TiledGrid>,
    rounding,
    calibrator,
    searchInHessian,
    hessian,
    feedback,
    cross,
    importance,
    math,
  });
  const result = rounded.grid.result(rounded.codes);
  return { ...rounded, matrix: task.flattened ? folded(result, matrix) : result };
}

function describe(
  task: RoundRowsTask,
  matrix: Matrix,
  rounded: RoundedMatrix,
  { math }: Kernels,
  /** Of the same weights, rounded otherwise. */
  known: RowFigures | undefined,
): RoundedRows {
  const { heldOut, means } = task;
  const { values, damping, deadColumns } = rounded;
  const { codes: _shared, ...described } = rounded.matrix;
  const differences = differencesOf(matrix, values, math);
  const { rows, columns } = matrix;
  return {
    matrix: described,
    figures: {
      squaredErrors: math.rowProducts({ rows, columns, a: differences, b: differences }),
      squaredWeights:
        known?.squaredWeights ?? math.rowProducts({ rows, columns, a: matrix.values, b: matrix.values }),
      ...(heldOut && {
        outputs: outputErrorsByRow({
          matrix,
          values,
          inputs: heldOut,
          differences,
          signals: known?.outputs?.signals,
          math,
        }),
      }),
    },
    ...(means && { biasShift: correctBias({ matrix, values, means }) }),
    ...(damping === undefined ? {} : { damping }),
    ...(deadColumns === undefined ? {} : { deadColumns: deadColumns.length }),
  };
}
