import type { InputSource } from "@quern/statistics";
import type { SequentialPlan } from "./plan.ts";
import { type SequentialProgress, SequentialSource } from "./sequential-source.ts";

export interface SequentialOptions {
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
 * `replace`, and goes on to the next group; then `blockDone`, which runs the block as it is now. Blocks of which nothing is asked and
 * nothing replaced need not be mentioned.
 *
 * Where the plan says so and `begin` has been called, `blockDone` saves hidden states: a block counts as quantized when it has returned,
 * and a run that ends early can be gone on with behind it, which needs nothing of the weights before. `discard` removes what is saved.
 *
 * What `read` gives has memory of its own. What is read in mode "block" is of the block as it was, whatever has been replaced in it.
 *
 * @returns a source that throws QuernError `STATISTICS_UNKNOWN_MODULE` and `STATISTICS_NOT_COLLECTED` for what the plan does not have,
 * `CALIBRATION_ORDER` for another block than the one that is being quantized, `CALIBRATION_TENSOR`, `CALIBRATION_OVERFLOW`,
 * `ACTIVATION_NOT_FINITE`, `FORWARD_*`, `WORKER_*`, `OUTPUT_*`, `SOURCE_*`; the reason of the signal
 */
export function sequentialInputs(plan: SequentialPlan, options: SequentialOptions = {}): InputSource {
  const { signal, onProgress = () => undefined } = options;
  return new SequentialSource({ plan, onProgress, ...(signal && { signal }) });
}
