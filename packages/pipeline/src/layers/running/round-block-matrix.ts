import type { RowErrors } from "@quern/kernels";
import type { BufferLease } from "@quern/threads";
import type { PlannedBlockMatrix } from "../block-plan.ts";
import { seesTooFew } from "../block-plan.ts";
import type { BlockRows, RoundBlocksResult, RoundBlocksTask } from "../tasks/round-blocks.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { RowRange } from "../tasks/weights.ts";
import type { LayerInputs } from "./quantize-group.ts";
import { rowRanges } from "./row-ranges.ts";

/** A matrix as blocks of ggml, and what that costs. */
export interface RoundedBlocks {
  /** Row after row, in shared memory. */
  readonly blocks: Uint8Array;
  /** Whether the blocks are those of the rounding that was asked for; otherwise ggml's, which were better or for which alone there were inputs. */
  readonly kept: boolean;
  /** Whether there were too few inputs for that rounding. */
  readonly withoutInputs: boolean;
  /** Of the weights, in the order of the rows. */
  readonly errors: readonly (Pick<BlockRows, "forms"> & {
    readonly firstRow: number;
    readonly rows: RowErrors;
  })[];
  /** Sums of squares of outputs on inputs that were held out, and of their errors with both roundings. Absent where there are none. */
  readonly outputs?: { readonly signals: number; readonly rounded: number; readonly plain: number };
  readonly damping?: number;
  readonly deadColumns?: number;
}

/** Rounds a matrix, its rows divided among threads; the result does not depend on how. */
export async function roundBlockMatrix(params: {
  readonly planned: PlannedBlockMatrix;
  readonly inputs: LayerInputs;
  /** Whether errors are measured with the Hessian, too. */
  readonly measuresOutputs: boolean;
  /** Most weights that are rounded at a time. */
  readonly chunkWeights: number;
  readonly threads: number;
  readonly run: RunLayerTask;
  /** Memory for the result. */
  readonly lease: BufferLease;
  /** Called as rows are done. */
  readonly onRows: (rows: number) => void;
}): Promise<RoundedBlocks> {
  const { planned, inputs, measuresOutputs, run, lease, onRows } = params;
  const task = { ...taskFor(planned, inputs, lease), measuresOutputs };
  const parts = await Promise.all(
    rowRanges(params).map(async (range) => {
      const result = await run({ ...task, ...range });
      onRows(range.rows);
      return { ...result, ...range };
    }),
  );
  return verdict(task, parts);
}

type MatrixTask = Omit<RoundBlocksTask, "firstRow" | "rows" | "measuresOutputs">;

function taskFor(
  planned: PlannedBlockMatrix,
  { treatment, statistics, importance: energies, feedback }: LayerInputs,
  lease: BufferLease,
): MatrixTask {
  const { weights, type, rowSize, via, usesImportance } = planned;
  const { hessian, tokens = 0, meanSquare, heldOut } = statistics ?? {};
  const blocks = (): Uint8Array => new Uint8Array(lease.take(weights.rows * rowSize));
  const rounded =
    (hessian === undefined && feedback === undefined) || seesTooFew(planned, tokens)
      ? undefined
      : {
          treatment,
          ...(hessian && { hessian: { matrix: hessian, tokens } }),
          ...(energies && { importance: energies }),
          ...(feedback && { feedback }),
          blocks: blocks(),
        };
  const compared = rounded && heldOut && heldOut.length >= weights.columns ? heldOut : undefined;
  // Of inputs that never were, importance matrices say that all columns count alike.
  const importance = tokens > 0 ? meanSquare : new Float32Array(weights.columns).fill(1);
  return {
    kind: "round-blocks",
    weights,
    type,
    ...(usesImportance && importance && { importance }),
    ...(rounded && { rounded }),
    ...(compared && { heldOut: compared }),
    ...(rounded === undefined || compared !== undefined
      ? { plain: { ...(via === undefined ? {} : { via }), blocks: blocks() } }
      : {}),
  };
}

type RoundedPart = RoundBlocksResult & RowRange;

function verdict({ plain, rounded }: MatrixTask, parts: readonly RoundedPart[]): RoundedBlocks {
  const outputs = rounded && plain && outputsOf(parts);
  const kept = rounded !== undefined && (outputs === undefined || outputs.rounded < outputs.plain);
  const of = (part: RoundedPart): BlockRows => (kept ? part.rounded! : part.plain!);
  const { damping, deadColumns } = parts[0]!.rounded ?? {};
  return {
    blocks: (kept ? rounded : plain!).blocks,
    kept,
    withoutInputs: rounded === undefined,
    errors: parts.map((part) => {
      const { errors, forms } = of(part);
      return { firstRow: part.firstRow, rows: errors, ...(forms && { forms }) };
    }),
    ...(outputs && { outputs }),
    ...(damping === undefined ? {} : { damping }),
    ...(deadColumns === undefined ? {} : { deadColumns }),
  };
}

/** Added up in the order of rows, so that sums do not depend on how these were shared. */
function outputsOf(parts: readonly RoundedPart[]): RoundedBlocks["outputs"] {
  const sum = (of: (part: RoundedPart) => Float64Array): number => {
    let total = 0;
    for (const part of parts) for (const value of of(part)) total += value;
    return total;
  };
  return {
    signals: sum((part) => part.plain!.outputs!.signals),
    plain: sum((part) => part.plain!.outputs!.errors),
    rounded: sum((part) => part.rounded!.outputs!.errors),
  };
}
