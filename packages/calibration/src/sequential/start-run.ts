import { dirname } from "node:path";
import { embedWindows, HiddenStates, openParameters, type ParameterSource } from "@quern/inference";
import type { WeightChanges } from "@quern/models";
import { closeThreads, compiledModule, startThreads } from "@quern/threads";
import { type CalibrationThread, createService } from "../node/calibration-service.ts";
import { type CalibrationWindow, windowsOf } from "../running/capture-batch.ts";
import type { SequentialPlan } from "./plan.ts";
import type { RunStates, SavedRuns } from "./saved-runs.ts";

/** What a run works with. */
export interface SequentialRun {
  readonly parameters: ParameterSource;
  readonly threads: readonly CalibrationThread[];
  readonly windows: readonly CalibrationWindow[];
  /** Before the block that comes first. */
  readonly states: RunStates;
  close(): Promise<void>;
}

/**
 * Starts threads, and makes or restores the hidden states before a block.
 *
 * @throws QuernError `FORWARD_TOKENS`, `ACTIVATION_NOT_FINITE`, `HIDDEN_STATES_SIZE`, `WORKER_*`, `OUTPUT_*`, `SOURCE_*`; the reason of the
 * signal
 */
export async function startRun(
  plan: SequentialPlan,
  params: {
    readonly from: number;
    readonly saved: SavedRuns;
    /** What has become of the checkpoint. */
    readonly changes: WeightChanges;
    readonly signal?: AbortSignal;
  },
): Promise<SequentialRun> {
  const { from, saved, changes, signal } = params;
  signal?.throwIfAborted();
  const { model, memory, temporary, cross } = plan;
  const windows = windowsOf(plan.windows);
  const fitted = windows.filter(({ heldOut }) => !heldOut);
  const parameters = openParameters(model);
  parameters.change(changes);
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
    return { parameters, threads, windows, states, close };
  } catch (error) {
    await close();
    throw error;
  }
}
