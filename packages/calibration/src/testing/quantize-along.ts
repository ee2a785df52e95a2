import type { RunnableModel } from "@quern/inference";
import type { InputSource, InputStatistics } from "@quern/statistics";
import type { SequentialPlan } from "../sequential/plan.ts";
import { isComparable } from "../accumulation/cross.ts";
import { linearWeights } from "./coarse-model.ts";

/** What was read of a matrix: by "module matrix". */
export type AllStatistics = Map<string, InputStatistics>;

/**
 * Goes through a model as whoever quantizes it does: asks for the input of each group of layers, and then has them become those of
 * another model.
 *
 * @param params.target The other model. Default: nothing is replaced.
 * @param params.from First block, and `to`: the first that is not gone through any more. Default: all.
 */
export async function quantizeAlong(params: {
  readonly source: InputSource;
  readonly plan: SequentialPlan;
  readonly target?: RunnableModel;
  readonly from?: number;
  readonly to?: number;
}): Promise<AllStatistics> {
  const { source, plan, target, from = 0, to = plan.stages.length } = params;
  const all: AllStatistics = new Map();
  for (const { stage } of plan.stages.slice(from, to)) {
    const isBlock = stage.block < plan.model.graph.blocks.length;
    const weights = target && isBlock ? await linearWeights(target, stage.block) : [];
    for (const input of stage.inputs) {
      const module = input.modules.at(-1)!;
      for (let matrix = 0; matrix < input.matrices; matrix++) {
        const cross = plan.cross && isComparable(input);
        const read = await source.read({ module, matrix, hessian: plan.hessians, cross, heldOut: true });
        all.set(`${input.name} ${matrix}`, read);
      }
      for (const { tensor, module: name, values } of weights) {
        if (input.modules.includes(name)) await source.replace({ tensor, values });
      }
    }
    await source.blockDone(stage.block);
  }
  return all;
}
