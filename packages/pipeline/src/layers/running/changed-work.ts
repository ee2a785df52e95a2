import { foldExpression, type WeightChanges } from "@quern/models";
import type { InputStatistics } from "@quern/statistics";
import type { PlannedCopy, PlannedLinear, PlannedMatrix, PlannedStage } from "../plan.ts";
import type { Weights } from "../tasks/weights.ts";

/** The work of a plan after the transforms of its recipe. */
export interface ChangedWork {
  readonly stages: readonly PlannedStage[];
  readonly copies: readonly PlannedCopy[];
  /** What has become of the tensors of the checkpoint. */
  readonly changes: WeightChanges;
  /** What is known of the inputs of a layer after they have been changed; arrays may be changed in place. */
  changeInputs(planned: PlannedLinear, statistics: InputStatistics): Promise<InputStatistics>;
}

/** What becomes of tensors of the checkpoint. */
export interface TensorChanges {
  readonly changes: WeightChanges;
  /** Of these, no rows can be had without all others. @default none */
  readonly whole?: ReadonlySet<string>;
}

export function changeStages(stages: readonly PlannedStage[], changed: TensorChanges): PlannedStage[] {
  return mapLayers(stages, (planned) => ({
    ...planned,
    weights: changeWeights(planned.weights, changed),
    ...(planned.bias && { bias: changeCopy(planned.bias, changed) }),
  }));
}

/** The same with other layers. */
export function mapLayers<M extends PlannedMatrix>(
  stages: readonly PlannedStage<M>[],
  change: (planned: M) => M,
): PlannedStage<M>[] {
  return stages.map((stage) => ({
    ...stage,
    groups: stage.groups.map((group) => ({ ...group, layers: group.layers.map(change) })),
  }));
}

export function changeCopy(copy: PlannedCopy, changed: TensorChanges): PlannedCopy {
  return { ...copy, weights: changeWeights(copy.weights, changed) };
}

function changeWeights(weights: Weights, { changes, whole }: TensorChanges): Weights {
  const changed = foldWeights(weights, changes);
  return whole?.has(weights.tensor) === true ? { ...changed, whole: true } : changed;
}

export function foldWeights(weights: Weights, changes: WeightChanges): Weights {
  const expression = foldExpression(weights.expression, changes);
  return expression === weights.expression ? weights : { ...weights, type: "F32", expression };
}
