import { dirname } from "node:path";
import { embedWindows, HiddenStates, openParameters } from "@quern/inference";
import type { InputSource } from "@quern/statistics";
import { closeThreads, compiledModule, startThreads } from "@quern/threads";
import { createService } from "../node/calibration-service.ts";
import { windowsOf } from "../running/capture-batch.ts";
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
 * Runs a model along with its quantization: what layers read follows from what the layers before them have become.
 *
 * Whoever quantizes goes block by block. In a block, it asks for the input of a group of layers, tells what each of them has become with
 * `replace`, and goes on to the next group; then `blockDone`, which runs the block as it is now and, where the plan has an identity, saves
 * hidden states. A block counts as quantized when that has returned: a run that ends early can be gone on with behind it, which needs
 * nothing of the weights before. When all blocks are done, closing the source removes what was saved.
 *
 * What `read` gives has memory of its own. What is read in mode "block" is of the block as it was, whatever has been replaced in it.
 *
 * @throws QuernError `CALIBRATION_ORDER` for a block to begin with that has not been saved, and what embedding and threads throw. The source
 * throws `STATISTICS_UNKNOWN_MODULE` and `STATISTICS_NOT_COLLECTED` for what the plan does not have, `CALIBRATION_ORDER` for another block
 * than the one that is being quantized, `CALIBRATION_TENSOR`, `CALIBRATION_OVERFLOW`, `ACTIVATION_NOT_FINITE`, `OUTPUT_*`, `SOURCE_*`; the
 * reason of the signal
 */
export async function sequentialInputs(
  plan: SequentialPlan,
  options: SequentialOptions = {},
): Promise<InputSource> {
  const { from = 0, signal, onProgress = () => undefined } = options;
  const { model, memory, temporary, cross } = plan;
  const saved = await SavedRuns.of(plan);
  if (!(await saved.blocks(plan.stages.length)).includes(from)) {
    throw orderError(`there are no hidden states before block ${from} to go on with`);
  }
  signal?.throwIfAborted();
  const parameters = openParameters(model);
  const windows = windowsOf(plan.windows);
  const fitted = windows.filter(({ heldOut }) => !heldOut);
  const closing: (() => Promise<unknown>)[] = [() => parameters.close()];
  const close = async (): Promise<void> => void (await Promise.all(closing.map((end) => end())));
  const createStates = async (of: typeof windows, bytes: number): Promise<HiddenStates> => {
    const states = await HiddenStates.create({
      tokens: of.map(({ tokens }) => tokens.length),
      width: model.graph.embedding.width,
      memory: bytes,
      folder: dirname(temporary),
    });
    closing.push(() => states.close());
    return states;
  };
  try {
    await saved.keepOnly([from]);
    const threads = await startThreads({
      count: plan.threads,
      createService,
      module: () => compiledModule("../node/calibration-service.ts", import.meta.url),
      options: plan.backend === undefined ? {} : { backend: plan.backend },
    });
    closing.unshift(() => closeThreads(threads));
    const quantized = await createStates(windows, memory.states);
    const reference = cross ? await createStates(fitted, memory.referenceStates) : undefined;
    const states = { quantized, ...(reference && { reference }) };
    const run = { model, parameters, threads, ...(signal === undefined ? {} : { signal }) };
    if (from > 0) await saved.restore(from, states);
    else {
      await embedWindows({ ...run, windows, states: quantized });
      if (reference !== undefined) await embedWindows({ ...run, windows: fitted, states: reference });
    }
    return new SequentialSource({
      plan,
      from,
      parameters,
      threads,
      states,
      saved,
      signal,
      onProgress,
      close,
    });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Removes hidden states that a run has saved, when nothing is going to go on with them. */
export async function discardSequentialStates(plan: SequentialPlan): Promise<void> {
  const saved = await SavedRuns.of(plan);
  await saved.keepOnly([]);
}
