import { type ChosenFolding, fitFactors, foldedScales, tieFactors, type WeightChanges } from "@quern/models";
import type { InputSource, InputStatistics } from "@quern/statistics";
import type { MemberSpec } from "@quern/quantize";
import { QuernError } from "@quern/tensor";
import type { BufferPool } from "@quern/threads";
import type { CheckpointPlan, PlannedBlockCheck, PlannedFolding, PlannedMatrix } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { type ChangedWork, changeCopy, changeStages } from "./changed-work.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { checkBlock } from "./check-block.ts";
import { settled } from "./settled.ts";

/** Factors that have been chosen. */
export interface FoldedFactors {
  /** What becomes of the tensors of the checkpoint. */
  readonly changes: WeightChanges;
  /** By what the inputs of a layer are divided; undefined: by nothing. */
  factorsOf(planned: Pick<PlannedMatrix, "linear">): Float32Array | undefined;
}

/**
 * Chooses factors for all places of a plan, before anything is rounded, and folds them into what is read of the weights.
 *
 * @throws QuernError `FOLDING_CHANGES_MODEL`
 */
export async function foldFactors(params: {
  readonly plan: CheckpointPlan;
  readonly run: RunLayerTask;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
}): Promise<ChangedWork> {
  const { plan, ...context } = params;
  const { foldings, checks, inputs, recipe } = plan;
  const { transforms } = recipe;
  const { changes, factorsOf } = await chooseFoldings({ foldings, checks, transforms, inputs, ...context });
  return {
    stages: changeStages(plan.stages, { changes }),
    copies: plan.copies.map((copy) => changeCopy(copy, { changes })),
    changeInputs: async (planned, statistics) => divideInputs(statistics, factorsOf(planned)),
  };
}

/**
 * Chooses factors for all places. Every block is compared with what it was as soon as its factors are chosen.
 *
 * @param params.inputs Needed where there are some places.
 * @throws QuernError `FOLDING_CHANGES_MODEL`, `STATISTICS_NOT_COLLECTED`
 */
export async function chooseFoldings(params: {
  readonly foldings: readonly PlannedFolding[];
  readonly checks: readonly PlannedBlockCheck[];
  readonly transforms: readonly MemberSpec[];
  readonly inputs: InputSource | undefined;
  readonly run: RunLayerTask;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
}): Promise<FoldedFactors> {
  const { foldings, checks, inputs, run, gate } = params;
  const blocks = await settled([...byBlock(foldings)], async ([block, places]): Promise<ChosenFolding[]> => {
    const own = await settled(places, (planned) =>
      gate.within(planned.bytes, () => choose(planned, { ...params, inputs: inputs! })),
    );
    const check = checks.find(({ graph }) => graph.layer === block);
    if (check === undefined) return own;
    const changed = foldedScales(own);
    await gate.within(check.bytes, () => checkBlock({ check, changes: changed, run }));
    return own;
  });
  const chosen = blocks.flat();
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

function byBlock(foldings: readonly PlannedFolding[]): Map<number | undefined, PlannedFolding[]> {
  const blocks = new Map<number | undefined, PlannedFolding[]>();
  for (const planned of foldings) {
    const { layer } = planned.folding;
    blocks.set(layer, [...(blocks.get(layer) ?? []), planned]);
  }
  return blocks;
}

function readerKey(module: string, matrix: number | undefined): string {
  return `${module} ${matrix ?? "all"}`;
}

async function choose(
  { folding, layers, usesHessian, parent, norm }: PlannedFolding,
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
  const kind = parent?.parent.kind;
  const { hessian, tokens, meanMagnitude, largestMagnitude, heldOut, windows } = await inputs.read({
    ...folding.statistics,
    hessian: usesHessian,
    cross: false,
    heldOut: kind === "feed-forward",
    windows: kind === "attention",
    allocate,
  });
  const input = kind === "feed-forward" ? heldOut && { rows: heldOut } : windows;
  if (parent !== undefined && input === undefined) throw noInputs(folding);
  const factors = await run({
    kind: "choose-factors",
    layers: layers.map(({ weights }) => weights),
    transforms,
    treatment: layers[0]!.decision.treatment,
    ...(hessian && { hessian: { matrix: hessian, tokens } }),
    meanMagnitudes: meanMagnitude,
    largestMagnitudes: largestMagnitude,
    ...(parent && input && { parent: { ...parent, input } }),
  });
  lease.release();
  const tied = tieFactors(folding, factors);
  if (norm === undefined) return { folding, factors: tied };
  const weight = await run({ kind: "read", weights: norm.weights });
  const { offset, weights } = norm;
  return { folding, factors: fitFactors({ factors: tied, weight, offset, type: weights.type }) };
}

function noInputs({ statistics: { module } }: PlannedFolding["folding"]): QuernError {
  return new QuernError(
    "STATISTICS_NOT_COLLECTED",
    `no inputs of "${module}" are known as they are, on which what is around it could be compared`,
    { subject: { tensor: module } },
  );
}

/** What is known of inputs when they are divided by factors, if by any. The Hessian is changed in place. */
export function divideInputs(
  statistics: InputStatistics,
  factors: Float32Array | undefined,
): InputStatistics {
  if (factors === undefined) return statistics;
  const { histogram: _known, ...rest } = statistics;
  const { hessian, heldOut, mean, meanSquare, meanMagnitude, largestMagnitude } = rest;
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
    ...rest,
    mean: by(mean),
    meanSquare: by(meanSquare, 2),
    meanMagnitude: by(meanMagnitude),
    largestMagnitude: by(largestMagnitude),
  };
}
