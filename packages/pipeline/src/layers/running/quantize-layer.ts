import type { QuantizedMatrix } from "@quern/quantize";
import type { BufferLease } from "@quern/threads";
import { type FigureSums, sumOfFigures } from "../row-figures.ts";
import type { PlannedLinear } from "../plan.ts";
import type { RoundedRows, RoundRowsResult, RoundRowsTask } from "../tasks/round-rows.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { gatherRows } from "./gather-rows.ts";
import type { LayerInputs } from "./quantize-group.ts";
import { rowRanges } from "./row-ranges.ts";

/** A layer as codes, and what that costs. */
export interface QuantizedLinear {
  readonly matrix: QuantizedMatrix;
  /** Whether the codes are those of rounding to nearest instead of what was asked for. */
  readonly keptNearest: boolean;
  readonly figures: FigureSums;
  /** Relative errors of outputs on inputs held out. */
  readonly outputError?: { readonly rounded: number; readonly nearest?: number };
  readonly biasShift?: Float32Array;
  readonly damping?: number;
  readonly deadColumns?: number;
}

/** Rounds a layer, its rows divided among threads; the result does not depend on how. */
export async function quantizeLayer(params: {
  readonly planned: PlannedLinear;
  readonly inputs: LayerInputs;
  /** Most weights that are rounded at a time. */
  readonly chunkWeights: number;
  readonly threads: number;
  readonly run: RunLayerTask;
  /** Memory for the result. */
  readonly lease: BufferLease;
  /** Called as rows are done. */
  readonly onRows: (rows: number) => void;
}): Promise<QuantizedLinear> {
  const { planned, inputs, run, lease, onRows } = params;
  const { rows, columns } = planned.linear;
  const codes = new Uint8Array(lease.take(rows * columns));
  const compares = planned.decision.guard && inputs.statistics?.heldOut !== undefined;
  const nearestCodes = compares ? new Uint8Array(lease.take(rows * columns)) : undefined;
  const common = {
    kind: "round-rows",
    weights: planned.weights,
    flattened: planned.division.flattened,
    codes,
    ...(nearestCodes && { nearestCodes }),
    ...taskInputs(planned, inputs),
  } as const satisfies Omit<RoundRowsTask, "firstRow" | "rows">;
  const results = await Promise.all(
    rowRanges(params).map(async (range) => {
      const result = await run({ ...common, ...range });
      onRows(range.rows);
      return result;
    }),
  );
  return verdict(results, codes, nearestCodes);
}

/** What of the inputs a layer is rounded with. */
function taskInputs(
  { linear, decision, bias }: PlannedLinear,
  { treatment, statistics, importance, feedback }: LayerInputs,
): Pick<RoundRowsTask, "treatment" | "hessian" | "feedback" | "cross" | "importance" | "heldOut" | "means"> {
  const { hessian, cross, heldOut, tokens, mean } = statistics ?? {};
  return {
    treatment,
    ...(hessian && { hessian: { matrix: hessian, tokens: tokens! } }),
    ...(feedback && { feedback }),
    ...(cross && { cross }),
    ...(importance && { importance }),
    ...(heldOut && heldOut.length >= linear.columns && { heldOut }),
    ...(decision.correctBias && bias && mean && { means: mean }),
  };
}

function verdict(
  results: readonly RoundRowsResult[],
  codes: Uint8Array,
  nearestCodes: Uint8Array | undefined,
): QuantizedLinear {
  const rounded = results.map((result) => result.rounded);
  const figures = sumOfFigures(rounded.map((part) => part.figures));
  const errorOf = ({ outputErrors, outputSignals }: FigureSums): number =>
    outputErrors === 0 ? 0 : outputErrors / outputSignals;
  if (nearestCodes !== undefined) {
    const nearest = results.map((result) => result.nearest!);
    const others = sumOfFigures(nearest.map((part) => part.figures));
    const outputError = { rounded: errorOf(figures), nearest: errorOf(others) };
    return outputError.rounded < outputError.nearest
      ? { ...layerOf(rounded, codes, figures), outputError, keptNearest: false }
      : { ...layerOf(nearest, nearestCodes, others), outputError, keptNearest: true };
  }
  return {
    ...layerOf(rounded, codes, figures),
    ...(rounded[0]!.figures.outputs && { outputError: { rounded: errorOf(figures) } }),
    keptNearest: false,
  };
}

function layerOf(
  parts: readonly RoundedRows[],
  codes: Uint8Array,
  figures: FigureSums,
): Omit<QuantizedLinear, "outputError" | "keptNearest"> {
  const { damping, deadColumns, biasShift } = parts[0]!;
  return {
    matrix: gatherRows(
      parts.map(({ matrix }) => matrix),
      codes,
    ),
    figures,
    ...(biasShift && { biasShift: Float32Array.from(parts.flatMap((part) => [...part.biasShift!])) }),
    ...(damping === undefined ? {} : { damping }),
    ...(deadColumns === undefined ? {} : { deadColumns }),
  };
}
