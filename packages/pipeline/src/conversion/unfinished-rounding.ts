import type { BlockRounding, PlannedBlockMatrix } from "../layers/block-plan.ts";
import type { FinishedTensors } from "./finished-tensors.ts";
import type { TensorPlaces } from "./tensor-places.ts";

/**
 * What is left to round by inputs: matrices less the outputs that have them already. Where inputs follow what layers become, it is all of
 * them: their source is told of those that are finished.
 */
export function unfinishedRounding(
  rounding: BlockRounding,
  { places, finished }: { readonly places: TensorPlaces; readonly finished: FinishedTensors },
): BlockRounding {
  if (rounding.inputs.follows) return rounding;
  const isMissing = (planned: PlannedBlockMatrix, file: number): boolean =>
    !finished.has(places.outputOf(file), planned.name);
  const stages = rounding.stages.flatMap((stage) => {
    const groups = stage.groups.flatMap((group) => {
      const layers = group.layers.flatMap((planned) => {
        const targets = planned.targets.filter(({ file }) => isMissing(planned, file));
        return targets.length === 0 ? [] : [{ ...planned, targets }];
      });
      return layers.length === 0 ? [] : [{ ...group, layers }];
    });
    return groups.length === 0 ? [] : [{ ...stage, groups }];
  });
  return { ...rounding, stages };
}
