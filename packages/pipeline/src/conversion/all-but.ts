import type { ConversionPlan } from "../plan.ts";
import { FinishedTensors } from "./finished-tensors.ts";
import type { TensorPart } from "./tensor-places.ts";

/** As if outputs had everything already but what is to be done. */
export function allBut(plan: ConversionPlan, work: readonly TensorPart[]): FinishedTensors {
  const finished = new FinishedTensors(plan);
  const wanted = new Map(work.map(({ tensor, outputs }) => [tensor, outputs]));
  for (const tensor of plan.tensors.keys()) {
    const outputs = [...plan.outputs.keys()].filter(
      (output) => wanted.get(tensor)?.includes(output) !== true,
    );
    finished.add({ tensor, outputs }, "");
  }
  return finished;
}
