import type { Kernels, RowErrors } from "@quern/kernels";
import {
  type BlockGrid,
  type Feedback,
  type Grid,
  type Matrix,
  membersOf,
  outputErrorsByRow,
  roundMatrix,
  type RowOutputErrors,
  type Treatment,
} from "@quern/quantize";
import { hessianForms } from "../../conversion/hessian-forms.ts";
import { LaneBuffers } from "../../conversion/lane-buffers.ts";
import type { OutputRows } from "../../conversion/slab.ts";
import { weightError } from "../../conversion/weight-error.ts";
import { about } from "../about-tensor.ts";
import { type OpenReader, readRowBytes, type RowRange, type Weights } from "./weights.ts";

/** Rounds rows to blocks of ggml: as ggml does, by what is known of their inputs, or both. Large arrays are in shared memory. */
export interface RoundBlocksTask extends RowRange {
  readonly kind: "round-blocks";
  readonly weights: Weights;
  /** ggml type to write. */
  readonly type: string;
  /** By column: what errors count, as ggml takes it. */
  readonly importance?: Float32Array;
  /** Rounding as ggml does, if it is wanted. */
  readonly plain?: {
    /** Type that the weights pass through first. */
    readonly via?: string;
    /** Bytes of all rows. */
    readonly blocks: Uint8Array;
  };
  /** Rounding by inputs, if it is wanted. */
  readonly rounded?: {
    readonly treatment: Treatment;
    /** Or feedback that stands for it. */
    readonly hessian?: { readonly matrix: Float64Array; readonly tokens: number };
    /** By column: what errors count where there is none. */
    readonly importance?: Float32Array;
    readonly feedback?: Feedback;
    /** Bytes of all rows. */
    readonly blocks: Uint8Array;
  };
  /** Inputs on which outputs are compared. */
  readonly heldOut?: Float32Array;
  /** Whether errors are measured with the Hessian, too. */
  readonly measuresOutputs: boolean;
}

/** What became of rows whose blocks are in the memory that the task named. */
export interface BlockRows {
  readonly errors: RowErrors;
  /** On inputs that were held out, where there are some. */
  readonly outputs?: RowOutputErrors;
  /** On all inputs that the Hessian is of, if that was wanted. */
  readonly forms?: Pick<OutputRows, "squaredErrors" | "squaredWeights">;
  readonly damping?: number;
  /** How many columns have inputs that were always 0. */
  readonly deadColumns?: number;
}

export interface RoundBlocksResult {
  readonly plain?: BlockRows;
  readonly rounded?: BlockRows;
}

/** @throws QuernError `WEIGHT_NOT_FINITE`, `WEIGHT_OVERFLOWS`, and the codes of `roundMatrix` with the name of the tensor */
export async function roundBlocks(
  task: RoundBlocksTask,
  kernels: Kernels,
  open: OpenReader,
): Promise<RoundBlocksResult> {
  const { weights, plain, rounded } = task;
  const source = await readRowBytes(weights, task, open);
  const rows = { ...task, source, values: valuesOf(task, source, kernels) };
  const kept = plain && (await measure(rows, plainBlocks(rows, plain, kernels), kernels));
  return {
    ...(kept && { plain: kept }),
    ...(rounded && {
      rounded: await roundByInputs({ ...rows, signals: kept?.outputs?.signals }, rounded, kernels),
    }),
  };
}

/** Rows with their weights, as they are stored and as numbers. */
interface ReadRows extends RoundBlocksTask {
  readonly source: Uint8Array;
  readonly values: Float32Array;
  /** Squared outputs by row, where they are known already. */
  readonly signals?: Float64Array | undefined;
}

function storedType({ type, blockType }: Weights): string {
  return blockType ?? type;
}

function valuesOf(
  { weights, firstRow, rows }: RoundBlocksTask,
  source: Uint8Array,
  kernels: Kernels,
): Float32Array {
  const { columns } = weights;
  const type = storedType(weights);
  const target = new Float32Array(rows * columns);
  kernels.dequantize({ type, source, target, rows, columns });
  const index = target.findIndex((weight) => !Number.isFinite(weight));
  if (index < 0) return target;
  throw weightError({ slab: placeOf(weights, firstRow), type, passing: false, fault: "not-finite", index });
}

/** What messages say of rows. */
function placeOf(weights: Weights, firstRow: number): Parameters<typeof weightError>[0]["slab"] {
  const { tensor: name, columns, start = 0, sources } = weights;
  return { name, columns, firstRow: start + firstRow, sources };
}

/** The bytes that ggml would write. */
function plainBlocks(
  { weights, type, importance, firstRow, rows, source }: ReadRows,
  { via, blocks }: NonNullable<RoundBlocksTask["plain"]>,
  kernels: Kernels,
): Uint8Array {
  const { columns } = weights;
  const target = rowsIn(blocks, { firstRow, rows, of: weights.rows });
  const quantize = (params: {
    type: string;
    sourceType: string;
    source: Uint8Array;
    target: Uint8Array;
    importance?: Float32Array;
  }): void => {
    const bad = kernels.quantize({ ...params, rows, columns });
    if (bad === undefined) return;
    throw weightError({
      slab: placeOf(weights, firstRow),
      type: params.type,
      passing: params.type !== type,
      ...bad,
    });
  };
  const steered = importance && { importance };
  if (via === undefined) {
    quantize({ type, sourceType: storedType(weights), source, target, ...steered });
  } else {
    const passing = new Uint8Array(rows * columns * (via === "F32" ? 4 : 2));
    quantize({ type: via, sourceType: storedType(weights), source, target: passing });
    quantize({ type, sourceType: via, source: passing, target, ...steered });
  }
  return target;
}

async function roundByInputs(
  rows: ReadRows,
  { treatment, hessian, importance, feedback, blocks }: NonNullable<RoundBlocksTask["rounded"]>,
  kernels: Kernels,
): Promise<BlockRows> {
  const { weights, firstRow, rows: count, values } = rows;
  const { grid, rounding } = membersOf(treatment, { kernels });
  const {
    grid: fitted,
    codes,
    damping,
    deadColumns,
  } = about(weights.tensor, () =>
    roundMatrix({
      matrix: { rows: count, columns: weights.columns, values },
      // Members by name have lost their types: only blocks of ggml are planned.
      grid: grid as Grid<BlockGrid>,
      rounding,
      hessian,
      importance,
      feedback,
      math: kernels.math,
    }),
  );
  const target = rowsIn(blocks, { firstRow, rows: count, of: weights.rows });
  target.set(fitted.blocks(codes));
  return {
    ...(await measure(rows, target, kernels)),
    ...(damping === undefined ? {} : { damping }),
    ...(deadColumns === undefined ? {} : { deadColumns: deadColumns.length }),
  };
}

/** What blocks stand for, against the weights. */
async function measure(task: ReadRows, quantized: Uint8Array, kernels: Kernels): Promise<BlockRows> {
  const { weights, type, importance, heldOut, rounded, measuresOutputs, rows, source, values, signals } =
    task;
  const { columns } = weights;
  const errors = kernels.measureError({
    sourceType: storedType(weights),
    source,
    type,
    quantized,
    rows,
    columns,
    importance,
  });
  const meant = new Float32Array(rows * columns);
  kernels.dequantize({ type, source: quantized, target: meant, rows, columns });
  const matrix = { rows, columns, values };
  const { math } = kernels;
  const hessian = measuresOutputs ? rounded?.hessian : undefined;
  const forms = hessian && (await formsOf(matrix, meant, hessian.matrix, math));
  return {
    errors,
    ...(heldOut && { outputs: outputErrorsByRow({ matrix, values: meant, inputs: heldOut, signals, math }) }),
    ...(forms && { forms }),
  };
}

/** tr(D H D^T) and tr(W H W^T) by row. */
async function formsOf(
  { rows, columns, values }: Matrix,
  meant: Float32Array,
  hessian: Float64Array,
  math: Kernels["math"],
): Promise<NonNullable<BlockRows["forms"]>> {
  const changes = values.map((value, index) => value - meant[index]!);
  const [squaredErrors, squaredWeights] = await hessianForms({
    matrices: [changes, values],
    rows,
    columns,
    read: async (start, count) => triangleRows(hessian, columns, start, count),
    math,
    buffers: new LaneBuffers(),
  });
  return { squaredErrors: squaredErrors!, squaredWeights: squaredWeights! };
}

/** Rows of the lower triangle, one after the other. */
function triangleRows(matrix: Float64Array, columns: number, start: number, count: number): Float32Array {
  const rows = new Float32Array(count * start + (count * (count + 1)) / 2);
  for (let row = start, at = 0; row < start + count; at += ++row) {
    rows.set(matrix.subarray(row * columns, row * columns + row + 1), at);
  }
  return rows;
}

function rowsIn(blocks: Uint8Array, part: RowRange & { readonly of: number }): Uint8Array {
  const rowSize = blocks.length / part.of;
  return blocks.subarray(part.firstRow * rowSize, (part.firstRow + part.rows) * rowSize);
}
