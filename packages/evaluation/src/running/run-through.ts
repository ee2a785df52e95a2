import { HiddenStates, openParameters, type ParameterSource, runModel } from "@quern/inference";
import { QuernError } from "@quern/tensor";
import type { EvaluationThreads } from "../node/service.ts";
import type { EvaluationModel } from "../planning/evaluation-model.ts";
import type { EvaluationPlan } from "../planning/evaluation-plan.ts";
import { operationsOf } from "../planning/operations.ts";
import type { ProgressTracker } from "./progress-tracker.ts";

/** A model that has gone through its blocks. */
export interface RunThrough {
  readonly model: EvaluationModel;
  readonly states: HiddenStates;
  readonly parameters: ParameterSource;
}

/**
 * Runs all windows through the blocks of a model.
 *
 * @param params.memory Bytes for hidden states; the others go to a file.
 * @param params.closing Gets what closes that file and those of the model.
 * @throws QuernError `ACTIVATION_NOT_FINITE` with the name of the model, and what reading weights throws
 */
export async function runThrough(params: {
  readonly model: EvaluationModel;
  readonly plan: EvaluationPlan;
  readonly memory: number;
  readonly threads: EvaluationThreads;
  readonly tracker: ProgressTracker;
  readonly closing: (() => Promise<void>)[];
  readonly signal: AbortSignal | undefined;
}): Promise<RunThrough> {
  const { model, plan, memory, threads, tracker, closing, signal } = params;
  const { corpus, folder, positions } = plan;
  const { runnable } = model;
  const windows = corpus.windows.map(({ tokens }) => ({ tokens, starts: [0] }));
  const parameters = openParameters(runnable);
  closing.push(() => parameters.close());
  const states = await HiddenStates.create({
    tokens: windows.map(({ tokens }) => tokens.length),
    width: runnable.graph.embedding.width,
    memory,
    folder,
  });
  closing.push(() => states.close());
  const { blocks } = operationsOf(runnable, corpus, positions);
  await runModel({
    model: runnable,
    parameters,
    threads: threads.inference,
    windows,
    states,
    ...(signal && { signal }),
    onProgress: ({ block, windowsDone, windows: count }) => {
      const place = `${runnable.name}, block ${block + 1} of ${blocks.length}`;
      tracker.report(place, (blocks[block]! * windowsDone) / count);
      if (windowsDone === count) tracker.next(blocks[block]!);
    },
  }).catch((error: unknown) => {
    throw naming(runnable.name, error);
  });
  // The output layers of all models come next.
  parameters.shrink();
  return { model, states, parameters };
}

/** Of two models, an error should say which has it. */
function naming(name: string, error: unknown): unknown {
  if (!(error instanceof QuernError) || error.code !== "ACTIVATION_NOT_FINITE") return error;
  const { code, message, subject } = error;
  return new QuernError(code, `${name}: ${message}`, { subject: { file: name, ...subject }, cause: error });
}
