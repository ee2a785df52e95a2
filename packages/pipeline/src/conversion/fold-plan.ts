import { type ChosenFolding, foldTensor, weightNames } from "@quern/models";
import type { Importance } from "@quern/statistics";
import { BufferPool } from "@quern/threads";
import type { BlockRounding } from "../layers/block-plan.ts";
import { foldedTensors } from "../layers/planning/folded-tensors.ts";
import { foldWeights, mapLayers } from "../layers/running/changed-work.ts";
import { chooseFoldings } from "../layers/running/choose-foldings.ts";
import { divideInputs, type FoldedFactors, foldedFactors } from "../layers/running/folded-factors.ts";
import { KnownFactors } from "../layers/running/known-factors.ts";
import { withLayerThreads } from "../layers/running/layer-threads.ts";
import { MemoryGate } from "../layers/running/memory-gate.ts";
import type { ConversionPlan } from "../plan.ts";
import type { OpenedOutputs } from "./open-outputs.ts";

/**
 * Chooses the factors of a plan's transforms as far as they are not known, and folds them into all that is read of weights and known of
 * inputs.
 *
 * @returns the plan with other weights; the same where there are no transforms
 */
export async function foldPlan(
  plan: ConversionPlan,
  { signal, known = new KnownFactors() }: { readonly signal: AbortSignal; readonly known?: KnownFactors },
): Promise<ConversionPlan> {
  const { rounding, importance, hessians: _ofOtherInputs, ...rest } = plan;
  if (rounding === undefined || rounding.foldings.length === 0) return plan;
  const folded = foldedFactors(
    known.of(rounding.foldings) ?? (await choose(plan, { rounding, known, signal })),
  );
  return {
    ...rest,
    tensors: plan.tensors.map((tensor) => foldTensor(tensor, folded.changes)),
    rounding: foldRounding(rounding, folded),
    ...(importance && { importance: divideImportance(importance, plan.tensors, folded) }),
  };
}

/** Factors that an earlier run has chosen, to which this one adds. */
export function knownFactors({ factors, journal }: Pick<OpenedOutputs, "factors" | "journal">): KnownFactors {
  return new KnownFactors({ entries: factors, note: (entry) => journal.append(entry) });
}

/**
 * Tensors of the model that are converted when everything is rounded, as only then all factors that are folded into them are known: none
 * unless inputs follow what layers become.
 */
export function tensorsFoldedLater({ rounding, tensors }: ConversionPlan): ReadonlySet<string> {
  if (rounding === undefined || !rounding.inputs.follows) return new Set();
  const folded = foldedTensors(rounding.foldings);
  const later = tensors.filter(({ expression }) => weightNames(expression).some((name) => folded.has(name)));
  return new Set(later.map(({ name }) => name));
}

function choose(
  { checkpoint, backend }: ConversionPlan,
  context: { readonly rounding: BlockRounding; readonly known: KnownFactors; readonly signal: AbortSignal },
): Promise<ChosenFolding[]> {
  const { rounding, known, signal } = context;
  const { foldings, checks, transforms, inputs, resources } = rounding;
  const gate = new MemoryGate(resources.groupMemory);
  const pool = new BufferPool();
  return withLayerThreads({ threads: resources.threads, shards: checkpoint.shards, backend, signal }, (run) =>
    chooseFoldings({ foldings, checks, transforms, inputs, known, run, gate, pool }),
  );
}

function foldRounding(rounding: BlockRounding, { changes, factorsOf }: FoldedFactors): BlockRounding {
  return {
    ...rounding,
    changeInputs: async (planned, statistics) => divideInputs(statistics, factorsOf(planned)),
    stages: mapLayers(rounding.stages, (planned) => ({
      ...planned,
      weights: foldWeights(planned.weights, changes),
    })),
  };
}

/** Squares of inputs that have been divided. */
function divideImportance(
  importance: Importance,
  tensors: ConversionPlan["tensors"],
  { factorsOf }: FoldedFactors,
): Importance {
  const columnsOf = new Map(tensors.map(({ name, shape }) => [name, shape.at(-1) ?? 1]));
  return {
    ...importance,
    async readWeights(name, range) {
      const weights = await importance.readWeights(name, range);
      const columns = columnsOf.get(name)!;
      const module = name.replace(/\.weight$/, "");
      // Ranges are of whole matrices.
      for (let first = 0; first < weights.length; first += columns) {
        const matrix = (range.start + first) / columns;
        const factors = factorsOf({ linear: { rows: 1, columns, inputs: { module, matrix } } });
        for (const [column, factor] of factors?.entries() ?? []) weights[first + column]! /= factor ** 2;
      }
      return weights;
    },
  };
}
