import {
  expressionSources,
  type Folding,
  forwardModel,
  parentOf,
  planForward,
  weightNames,
} from "@quern/models";
import type { MemberSpec } from "@quern/quantize";
import type { Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedFolding, PlannedParent } from "../plan.ts";
import { transformOf } from "../tasks/choose-factors.ts";

/**
 * Finds what is compared while factors are chosen, where transforms compare the modules around layers.
 *
 * @returns undefined for places whose layers are compared themselves
 */
export function planParents(
  { description, tensors, checkpoint }: LayeredModel,
  transforms: readonly MemberSpec[],
): (folding: Folding) => PlannedParent | undefined {
  if (!transforms.some((spec) => transformOf(spec).comparesParents === true)) return () => undefined;
  const blocks = new Map(planForward(forwardModel(description)).blocks.map((block) => [block.layer, block]));
  const known = new Map(description.tensors.map((tensor) => [tensor.name, tensor]));
  return (folding) => {
    const block = folding.layer === undefined ? undefined : blocks.get(folding.layer);
    // Weights that are stored as inputs x outputs have no rows of their own.
    const isPlain = folding.multiplied.every(({ axis }) => axis === "columns");
    const parent = block && isPlain ? parentOf(block, folding) : undefined;
    if (parent === undefined) return undefined;
    const own = parent.tensors.flatMap((name) => known.get(name) ?? []);
    const weights = new Set(own.flatMap(({ expression }) => weightNames(expression)));
    const sources = new Set(own.flatMap(({ expression }) => expressionSources(expression)));
    return {
      parent,
      tensors: own,
      weights: [...weights].map((name) => tensors.get(name)!.info),
      sources: [...sources].map((name) => checkpoint.tensors.get(name)!),
    };
  };
}

/**
 * Checks that statistics have inputs on which parents can be compared.
 *
 * @throws QuernError `STATISTICS_UNKNOWN_MODULE`, `STATISTICS_NOT_COLLECTED`
 */
export function checkParentInputs(statistics: Statistics, foldings: readonly PlannedFolding[]): void {
  for (const { folding, parent } of foldings) {
    const { module } = folding.statistics;
    if (parent === undefined || statistics.input(module).holdOutRows > 0) continue;
    throw new QuernError(
      "STATISTICS_NOT_COLLECTED",
      `${statistics.file}: no inputs of "${module}" were held out, on which AWQ with loss "parent" compares what is around the layers; ` +
        'collect statistics again with `quern calibrate --hold-out 10`, or take loss "layers"',
      { subject: { file: statistics.file, tensor: module } },
    );
  }
}
