import type { ModelTensor } from "@quern/models";
import { recordedTensors } from "../journal/recorded-tensors.ts";
import { layersOfOpenBlocks } from "../layers/planning/layers-left.ts";
import type { ConversionPlan } from "../plan.ts";
import type { UnfinishedOutputs } from "./plan-outputs.ts";

/** Tensors of a plan whose weights are read by a run that goes on with what another has left, as far as that is known before it is hashed. */
export function tensorsLeft(
  plan: Pick<ConversionPlan, "outputs" | "identity" | "tensors" | "rounding">,
  { state, kept }: UnfinishedOutputs,
): ModelTensor[] {
  const isKept = (output: number, file: number): boolean => kept[output]![file]!;
  const recorded = recordedTensors({ plan, state, isKept });
  const finished = plan.outputs.map(() => new Set<string>());
  for (const { output, tensor } of recorded) finished[output]!.add(tensor);
  const left = new Set(
    plan.outputs.flatMap(({ tensors }, output) =>
      tensors.flatMap(({ source }) => (finished[output]!.has(source) ? [] : [source])),
    ),
  );
  if (plan.rounding?.inputs.follows === true) {
    const again = layersOfOpenBlocks(plan.rounding.stages, ({ name }) => !left.has(name));
    for (const { name } of again) left.add(name);
  }
  return plan.tensors.filter(({ name }) => left.has(name));
}
