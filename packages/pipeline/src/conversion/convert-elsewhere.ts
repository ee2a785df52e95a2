import type { ConversionPlan } from "../plan.ts";
import type { ConversionDelegate } from "./delegate.ts";
import type { FinishedTensors } from "./finished-tensors.ts";
import type { ProgressTracker } from "./progress-tracker.ts";
import type { TensorPart, TensorPlaces } from "./tensor-places.ts";

/** Lets others convert what outputs do not have yet. @returns the kernels that ran; undefined where there was nothing to do */
export async function convertElsewhere(params: {
  readonly plan: ConversionPlan;
  readonly delegate: ConversionDelegate;
  /** Whether it is what is rounded by inputs, or everything else: different threads do one and the other, which take memory of their own. */
  readonly byInputs: boolean;
  readonly places: TensorPlaces;
  readonly finished: FinishedTensors;
  readonly partDone: (part: TensorPart, crc32: string) => Promise<void>;
  readonly tracker: ProgressTracker;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  const { plan, delegate, byInputs, places, finished, partDone, tracker, signal } = params;
  const work = plan.tensors.flatMap(({ name }, tensor): TensorPart[] => {
    const outputs = [...plan.outputs.keys()].filter((output) => {
      const place = places.find(output, tensor);
      const isMeant = place !== undefined && (place.rounding !== undefined) === byInputs;
      return isMeant && !finished.has(output, name);
    });
    return outputs.length === 0 ? [] : [{ tensor, outputs }];
  });
  if (work.length === 0) return undefined;
  const { kernels } = await delegate.run({
    plan,
    work: byInputs ? inComputedOrder(work, plan) : work,
    signal,
    onStart: ({ tensor }) => tracker.tensorStarted(tensor),
    onDone: async (outcome) => {
      if (byInputs) tracker.tensorRoundedElsewhere(outcome);
      else tracker.tensorConverted(outcome);
      for (const part of outcome.parts) await partDone(part, part.crc32);
    },
  });
  return kernels;
}

/** Tensors that read the same inputs follow each other. */
function inComputedOrder(work: readonly TensorPart[], { rounding }: ConversionPlan): TensorPart[] {
  const order = new Map(
    rounding!.stages
      .flatMap(({ groups }) => groups.flatMap(({ layers }) => layers.map(({ tensor }) => tensor)))
      .map((tensor, index) => [tensor, index]),
  );
  return work.toSorted((one, other) => order.get(one.tensor)! - order.get(other.tensor)!);
}
