import { type ChosenFolding, fitFactors, foldedScales, tieFactors } from "@quern/models";
import type { MemberSpec } from "@quern/quantize";
import type { InputSource } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { BufferPool } from "@quern/threads";
import type { PlannedBlockCheck, PlannedFolding } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { checkBlock } from "./check-block.ts";
import type { KnownFactors } from "./known-factors.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { settled } from "./settled.ts";

/** What factors are chosen with. */
export interface ChooseFoldingsParams {
  readonly foldings: readonly PlannedFolding[];
  readonly checks: readonly PlannedBlockCheck[];
  readonly transforms: readonly MemberSpec[];
  /** Needed where there are some places whose factors are not known. */
  readonly inputs: InputSource | undefined;
  /** Gets what is chosen; what it has is not chosen again. */
  readonly known: KnownFactors;
  readonly run: RunLayerTask;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
}

/**
 * Chooses factors for all places. Every block is compared with what it was as soon as its factors are chosen.
 *
 * @throws QuernError `FOLDING_CHANGES_MODEL`, `STATISTICS_NOT_COLLECTED`
 */
export async function chooseFoldings(params: ChooseFoldingsParams): Promise<ChosenFolding[]> {
  const { foldings, checks, inputs, known, run, gate } = params;
  const blocks = await settled([...byBlock(foldings)], async ([block, places]): Promise<ChosenFolding[]> => {
    const before = known.of(places);
    if (before !== undefined) return before;
    const own = await settled(places, (planned) =>
      gate.within(planned.bytes, () => choose(planned, { ...params, inputs: inputs! })),
    );
    const check = checks.find(({ graph }) => graph.layer === block);
    if (check !== undefined) {
      const changes = foldedScales(own);
      await gate.within(check.bytes, () => checkBlock({ check, changes, run }));
    }
    await known.add(own);
    return own;
  });
  return blocks.flat();
}

function byBlock(foldings: readonly PlannedFolding[]): Map<number | undefined, PlannedFolding[]> {
  const blocks = new Map<number | undefined, PlannedFolding[]>();
  for (const planned of foldings) {
    const { layer } = planned.folding;
    blocks.set(layer, [...(blocks.get(layer) ?? []), planned]);
  }
  return blocks;
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
