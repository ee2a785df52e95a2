import type { ConversionPlan } from "../plan.ts";
import type { ConversionDelegate } from "./delegate.ts";
import type { FinishedTensors } from "./finished-tensors.ts";
import type { ProgressTracker } from "./progress-tracker.ts";
import type { TensorPart, TensorPlaces } from "./tensor-places.ts";

/** Lets others convert what outputs do not have yet. @returns the kernels that ran; undefined where there was nothing to do */
export async function convertElsewhere(params: {
  readonly plan: ConversionPlan;
  readonly delegate: ConversionDelegate;
  readonly places: TensorPlaces;
  readonly finished: FinishedTensors;
  readonly partDone: (part: TensorPart, crc32: string) => Promise<void>;
  readonly tracker: ProgressTracker;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  const { plan, delegate, places, finished, partDone, tracker, signal } = params;
  const work = plan.tensors.flatMap(({ name }, tensor): TensorPart[] => {
    const outputs = [...plan.outputs.keys()].filter(
      (output) => places.find(output, tensor) !== undefined && !finished.has(output, name),
    );
    return outputs.length === 0 ? [] : [{ tensor, outputs }];
  });
  if (work.length === 0) return undefined;
  const { kernels } = await delegate.run({
    plan,
    work,
    signal,
    onStart: (tensor) => tracker.tensorStarted(tensor),
    onDone: async (outcome) => {
      tracker.tensorConverted(outcome);
      for (const part of outcome.parts) await partDone(part, part.crc32);
    },
  });
  return kernels;
}
