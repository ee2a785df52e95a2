import { foldTensor } from "@quern/models";
import type { Importance } from "@quern/statistics";
import { BufferPool } from "@quern/threads";
import type { BlockRounding } from "../layers/block-plan.ts";
import { foldWeights } from "../layers/running/changed-work.ts";
import { chooseFoldings, divideInputs, type FoldedFactors } from "../layers/running/fold-factors.ts";
import { withLayerThreads } from "../layers/running/layer-threads.ts";
import { MemoryGate } from "../layers/running/memory-gate.ts";
import type { ConversionPlan } from "../plan.ts";

/**
 * Chooses the factors of a plan's transforms, and folds them into all that is read of weights and known of inputs.
 *
 * @returns the plan with other weights; the same where there are no transforms
 */
export async function foldPlan(plan: ConversionPlan, signal: AbortSignal): Promise<ConversionPlan> {
  const { rounding, importance, checkpoint, backend, hessians: _ofOtherInputs, ...rest } = plan;
  if (rounding === undefined || rounding.foldings.length === 0) return plan;
  const { foldings, checks, transforms, inputs, resources } = rounding;
  const { threads } = resources;
  const gate = new MemoryGate(resources.groupMemory);
  const pool = new BufferPool();
  const folded = await withLayerThreads({ threads, shards: checkpoint.shards, backend, signal }, (run) =>
    chooseFoldings({ foldings, checks, transforms, inputs, run, gate, pool }),
  );
  return {
    ...rest,
    checkpoint,
    ...(backend === undefined ? {} : { backend }),
    tensors: plan.tensors.map((tensor) => foldTensor(tensor, folded.changes)),
    rounding: foldRounding(rounding, folded),
    ...(importance && { importance: divideImportance(importance, plan.tensors, folded) }),
  };
}

function foldRounding(rounding: BlockRounding, { changes, factorsOf }: FoldedFactors): BlockRounding {
  return {
    ...rounding,
    changeInputs: async (planned, statistics) => divideInputs(statistics, factorsOf(planned)),
    stages: rounding.stages.map((stage) => ({
      ...stage,
      groups: stage.groups.map((group) => ({
        ...group,
        layers: group.layers.map((planned) => ({
          ...planned,
          weights: foldWeights(planned.weights, changes),
        })),
      })),
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
