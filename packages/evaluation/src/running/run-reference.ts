import { openParameters } from "@quern/inference";
import { QuernError } from "@quern/tensor";
import { closeThreads } from "@quern/threads";
import type { EvaluationEvent } from "../events.ts";
import { startEvaluation } from "../node/service.ts";
import type { EvaluationPlan } from "../planning/evaluation-plan.ts";
import { blockOperations, operationsOf } from "../planning/operations.ts";
import { ProgressTracker } from "./progress-tracker.ts";
import { type RunThrough, runThrough } from "./run-through.ts";

/** A model that several are compared with, after its last block: hidden states of all windows, in a file. To be closed. */
export interface KeptReference {
  /** Of the windows. */
  readonly hash: string;
  /** Its states, and its weights opened anew: they are the caller's to close. */
  open(): RunThrough;
  /** Removes the file. */
  close(): Promise<void>;
}

/**
 * Runs the model that a plan compares with through its blocks, once for several evaluations on the same windows: each of them then makes its
 * logits from what is kept, to the bit the same as if it had run it.
 *
 * @param plan One with `keepsReference`.
 * @throws QuernError as `evaluate`; `EVALUATION_OPTION_INVALID` for a plan that compares with no such model
 */
export async function runReference(
  plan: EvaluationPlan,
  options: { readonly signal?: AbortSignal; readonly onEvent?: (event: EvaluationEvent) => void } = {},
): Promise<KeptReference> {
  const { reference: model, kept, corpus, positions, threads: count, backend } = plan;
  if (model?.kind !== "model" || kept === undefined) {
    throw new QuernError("EVALUATION_OPTION_INVALID", "the plan compares with no model that is kept", {
      subject: { key: "keepsReference" },
    });
  }
  const threads = await startEvaluation({ threads: count, ...(backend && { backend }) });
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(closing.splice(0).map((one) => one()));
  };
  try {
    const operations = blockOperations(operationsOf(model.runnable, corpus, positions));
    const tracker = new ProgressTracker(operations, options.onEvent);
    const { signal } = options;
    const { states } = await runThrough({ model, plan, memory: 0, threads, tracker, closing, signal });
    return {
      hash: corpus.hash,
      open: () => ({ model, states, parameters: openParameters(model.runnable) }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  } finally {
    await closeThreads(threads.all);
  }
}
