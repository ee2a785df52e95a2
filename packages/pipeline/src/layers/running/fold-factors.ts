import {
  type ChosenFolding,
  fitFactors,
  foldedScales,
  foldExpression,
  tieFactors,
  type WeightChanges,
} from "@quern/models";
import type { InputSource, InputStatistics } from "@quern/statistics";
import type { MemberSpec } from "@quern/quantize";
import type { BufferPool } from "@quern/threads";
import type { CheckpointPlan, PlannedCopy, PlannedFolding, PlannedMatrix, PlannedStage } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { Weights } from "../tasks/weights.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { settled } from "./settled.ts";

/** The work of a plan after factors have been folded into the weights. */
export interface FoldedWork extends Pick<FoldedFactors, "factorsOf"> {
  readonly stages: readonly PlannedStage[];
  readonly copies: readonly PlannedCopy[];
}

/** Factors that have been chosen. */
export interface FoldedFactors {
  /** What becomes of the tensors of the checkpoint. */
  readonly changes: WeightChanges;
  /** By what the inputs of a layer are divided; undefined: by nothing. */
  factorsOf(planned: Pick<PlannedMatrix, "linear">): Float32Array | undefined;
}

/** Chooses factors for all places of a plan, before anything is rounded, and folds them into what is read of the weights. */
export async function foldFactors(params: {
  readonly plan: CheckpointPlan;
  readonly run: RunLayerTask;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
}): Promise<FoldedWork> {
  const { plan, run, gate, pool } = params;
  const { foldings, inputs, recipe } = plan;
  const { transforms } = recipe;
  const { changes, factorsOf } = await chooseFoldings({ foldings, transforms, inputs, run, gate, pool });
  return {
    stages: plan.stages.map((stage) => foldStage(stage, changes)),
    copies: plan.copies.map((copy) => foldCopy(copy, changes)),
    factorsOf,
  };
}

/** Chooses factors for all places. @param params.inputs Needed where there are some. */
export async function chooseFoldings(params: {
  readonly foldings: readonly PlannedFolding[];
  readonly transforms: readonly MemberSpec[];
  readonly inputs: InputSource | undefined;
  readonly run: RunLayerTask;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
}): Promise<FoldedFactors> {
  const { foldings, inputs, gate } = params;
  const chosen = await settled(foldings, async (planned): Promise<ChosenFolding> => {
    await gate.enter(planned.bytes);
    try {
      return await choose(planned, { ...params, inputs: inputs! });
    } finally {
      gate.leave(planned.bytes);
    }
  });
  const changes = foldedScales(chosen);
  const factors = new Map<string, Float32Array>(
    chosen.flatMap(({ folding, factors: own }) =>
      folding.readers.map(({ module, matrix }) => [readerKey(module, matrix), own] as const),
    ),
  );
  return {
    changes,
    factorsOf({ linear: { inputs: read } }) {
      if (read === undefined) return undefined;
      return (
        factors.get(readerKey(read.module, read.matrix)) ?? factors.get(readerKey(read.module, undefined))
      );
    },
  };
}

function readerKey(module: string, matrix: number | undefined): string {
  return `${module} ${matrix ?? "all"}`;
}

async function choose(
  { folding, layers, usesHessian, norm }: PlannedFolding,
  context: {
    readonly run: RunLayerTask;
    readonly inputs: InputSource;
    readonly pool: BufferPool;
    readonly transforms: readonly MemberSpec[];
  },
): Promise<ChosenFolding> {
  const { run, inputs, transforms, pool } = context;
  const lease = pool.lease();
  const allocate = (size: number): SharedArrayBuffer => lease.take(size);
  const request = { ...folding.statistics, hessian: usesHessian, cross: false, heldOut: false, allocate };
  const { hessian, tokens, meanMagnitude, largestMagnitude } = await inputs.read(request);
  const factors = await run({
    kind: "choose-factors",
    layers: layers.map(({ weights }) => weights),
    transforms,
    treatment: layers[0]!.decision.treatment,
    ...(hessian && { hessian: { matrix: hessian, tokens } }),
    meanMagnitudes: meanMagnitude,
    largestMagnitudes: largestMagnitude,
  });
  lease.release();
  const tied = tieFactors(folding, factors);
  if (norm === undefined) return { folding, factors: tied };
  const weight = await run({ kind: "read", weights: norm.weights });
  const { offset, weights } = norm;
  return { folding, factors: fitFactors({ factors: tied, weight, offset, type: weights.type }) };
}

function foldStage(stage: PlannedStage, changes: WeightChanges): PlannedStage {
  return {
    ...stage,
    groups: stage.groups.map((group) => ({
      ...group,
      layers: group.layers.map((planned) => ({
        ...planned,
        weights: foldWeights(planned.weights, changes),
        ...(planned.bias && { bias: foldCopy(planned.bias, changes) }),
      })),
    })),
  };
}

function foldCopy(copy: PlannedCopy, changes: WeightChanges): PlannedCopy {
  return { ...copy, weights: foldWeights(copy.weights, changes) };
}

export function foldWeights(weights: Weights, changes: WeightChanges): Weights {
  const expression = foldExpression(weights.expression, changes);
  return expression === weights.expression ? weights : { ...weights, type: "F32", expression };
}

/** What is known of inputs when they are divided by factors. The Hessian is changed in place. */
export function divideInputs(statistics: InputStatistics, factors: Float32Array): InputStatistics {
  const { hessian, heldOut, mean, meanSquare, meanMagnitude, largestMagnitude } = statistics;
  const n = factors.length;
  const by = (values: Float32Array, power = 1): Float32Array =>
    values.map((value, index) => value / factors[index % n]! ** power);
  if (hessian) {
    for (let i = 0, at = 0; i < n; i++) {
      for (let j = 0; j < n; j++, at++) hessian[at]! /= factors[i]! * factors[j]!;
    }
  }
  for (const index of heldOut?.keys() ?? []) heldOut![index]! /= factors[index % n]!;
  return {
    ...statistics,
    mean: by(mean),
    meanSquare: by(meanSquare, 2),
    meanMagnitude: by(meanMagnitude),
    largestMagnitude: by(largestMagnitude),
  };
}
