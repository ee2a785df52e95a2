import type { InputSource } from "@quern/statistics";
import type { SequentialPlan } from "./plan.ts";
import { SavedRuns } from "./saved-runs.ts";
import { orderError, type SequentialProgress, SequentialSource } from "./sequential-source.ts";

export interface SequentialOptions {
  /** Block to begin with, one of `SequentialPlan.resumable`: those before it have been quantized by an earlier run. @default 0 */
  readonly from?: number;
  /** Ends what is being run. */
  readonly signal?: AbortSignal;
  /** Called after every window. */
  readonly onProgress?: (progress: SequentialProgress) => void;
}

/**
 * Runs a model along with its quantization: what layers read follows from what the layers before them have become. It begins when it is
 * first asked for something.
 *
 * Whoever quantizes goes block by block. In a block, it asks for the input of a group of layers, tells what each of them has become with
 * `replace`, and goes on to the next group; then `blockDone`, which runs the block as it is now and, where the plan has an identity, saves
 * hidden states. A block counts as quantized when that has returned: a run that ends early can be gone on with behind it, which needs
 * nothing of the weights before. Blocks of which nothing is asked and nothing replaced need not be mentioned.
 *
 * What `read` gives has memory of its own. What is read in mode "block" is of the block as it was, whatever has been replaced in it.
 *
 * @returns a source that throws QuernError `STATISTICS_UNKNOWN_MODULE` and `STATISTICS_NOT_COLLECTED` for what the plan does not have,
 * `CALIBRATION_ORDER` for another block than the one that is being quantized, `CALIBRATION_TENSOR`, `CALIBRATION_OVERFLOW`,
 * `ACTIVATION_NOT_FINITE`, `FORWARD_*`, `WORKER_*`, `OUTPUT_*`, `SOURCE_*`; the reason of the signal
 * @throws QuernError `CALIBRATION_ORDER` for a block to begin with that has not been saved
 */
export function sequentialInputs(plan: SequentialPlan, options: SequentialOptions = {}): InputSource {
  const { from = 0, signal, onProgress = () => undefined } = options;
  if (!plan.resumable.includes(from)) {
    throw orderError(`there are no hidden states before block ${from} to go on with`);
  }
  return new SequentialSource({ plan, from, onProgress, ...(signal && { signal }) });
}

/** Removes the hidden states that runs of a plan have saved: when everything is quantized, or nothing is going to go on with them. */
export async function discardSequentialStates(plan: SequentialPlan): Promise<void> {
  const saved = await SavedRuns.of(plan);
  await saved.keepOnly([]);
}
