import type { ParameterSet } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { closeThreads, runTasks } from "@quern/threads";
import type { EvaluationEvent } from "../events.ts";
import type { PositionScores } from "../measures/position-scores.ts";
import { createReferenceFile, type ReferenceWriter } from "../node/reference-writer.ts";
import { type EvaluationThreads, startEvaluation } from "../node/service.ts";
import { stateBytes } from "../planning/divide-memory.ts";
import type { EvaluationModel } from "../planning/evaluation-model.ts";
import { operationsOf, totalOperations } from "../planning/operations.ts";
import type { EvaluationPlan } from "../planning/evaluation-plan.ts";
import type { EvaluationReport } from "../report.ts";
import { reportOf } from "./evaluation-report.ts";
import type { ScoredModel } from "./logit-rows.ts";
import { ProgressTracker } from "./progress-tracker.ts";
import type { KeptReference } from "./run-reference.ts";
import { type RunThrough, runThrough } from "./run-through.ts";
import type { ScoreResult, ScoreTask } from "./score-window.ts";

export interface EvaluateOptions {
  /** Ends the run with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Called with news of the run. */
  readonly onEvent?: (event: EvaluationEvent) => void;
  /** The model that the plan compares with, where it is one with `keepsReference`. */
  readonly kept?: KeptReference;
}

/**
 * Runs what a plan says. Each model goes through its blocks by itself, all windows a block at a time; then the output layers make
 * logits, window by window and some positions at a time, and these are reduced to figures at once. Results do not depend on threads
 * and memory.
 *
 * @throws QuernError `EVALUATION_REFERENCE_MISMATCH` for a kept reference of other windows, `ACTIVATION_NOT_FINITE` names the block, `OUTPUT_*`, `WORKER_*`, and what reading weights throws
 */
export async function evaluate(
  plan: EvaluationPlan,
  options: EvaluateOptions = {},
): Promise<EvaluationReport> {
  const started = performance.now();
  const { onEvent } = options;
  checkKept(plan, options.kept);
  const run = new EvaluationRun(plan, options);
  try {
    const scores = await run.scores();
    const report = reportOf({ plan, scores, seconds: (performance.now() - started) / 1000 });
    onEvent?.({ type: "done", report });
    return report;
  } finally {
    await run.close();
  }
}

/** Whether a reference is kept decides about the memory that there is for the other model. */
function checkKept({ kept: planned, corpus }: EvaluationPlan, kept: KeptReference | undefined): void {
  if (planned === undefined ? kept === undefined : kept?.hash === corpus.hash) return;
  throw new QuernError(
    "EVALUATION_REFERENCE_MISMATCH",
    planned !== undefined
      ? "expected the kept reference, of the same windows"
      : "the plan is about no kept reference",
  );
}

class EvaluationRun {
  readonly #plan: EvaluationPlan;
  readonly #options: EvaluateOptions;
  readonly #models: readonly EvaluationModel[];
  readonly #tracker: ProgressTracker;
  readonly #closing: (() => Promise<void>)[] = [];

  constructor(plan: EvaluationPlan, options: EvaluateOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#models = [plan.model, ...(plan.reference?.kind === "model" ? [plan.reference] : [])];
    const operations = this.#models.map((model, index) => {
      const all = this.#operations(model);
      return index > 0 && options.kept !== undefined ? all.output : totalOperations(all);
    });
    this.#tracker = new ProgressTracker(
      operations.reduce((sum, each) => sum + each, 0),
      options.onEvent,
    );
  }

  /** Scores of all windows, in order. */
  async scores(): Promise<PositionScores[]> {
    const { threads: count, backend, corpus, save } = this.#plan;
    const threads = await startEvaluation({ threads: count, ...(backend && { backend }) });
    this.#closing.push(() => closeThreads(threads.all));
    this.#options.onEvent?.({
      type: "start",
      tokens: this.#tokens(),
      windows: corpus.windows.length,
      files: save === undefined ? [] : [save.path],
    });
    const [model, other] = this.#models;
    const run = await this.#runBlocks(model!, threads);
    const reference = this.#keptReference() ?? (other && (await this.#runBlocks(other, threads)));
    return this.#score(threads, run, reference);
  }

  /** Tokens that models are run on. */
  #tokens(): number {
    const { corpus } = this.#plan;
    const models = this.#options.kept === undefined ? this.#models.length : 1;
    return models * corpus.windows.length * corpus.rule.context;
  }

  async close(): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
  }

  #operations({ runnable }: EvaluationModel): ReturnType<typeof operationsOf> {
    return operationsOf(runnable, this.#plan.corpus, this.#plan.positions);
  }

  #keptReference(): RunThrough | undefined {
    const run = this.#options.kept?.open();
    if (run !== undefined) this.#closing.push(() => run.parameters.close());
    return run;
  }

  #runBlocks(model: EvaluationModel, threads: EvaluationThreads): Promise<RunThrough> {
    const { corpus, memory } = this.#plan;
    const { kept, signal } = this.#options;
    const running = kept === undefined ? this.#models : [model];
    const all = running.reduce((sum, each) => sum + stateBytes(each.runnable, corpus), 0);
    return runThrough({
      model,
      plan: this.#plan,
      memory: Math.floor((memory.states * stateBytes(model.runnable, corpus)) / all),
      threads,
      tracker: this.#tracker,
      closing: this.#closing,
      signal,
    });
  }

  async #score(
    threads: EvaluationThreads,
    model: RunThrough,
    reference: RunThrough | undefined,
  ): Promise<PositionScores[]> {
    const { corpus, positions, memory, reference: planned, save } = this.#plan;
    const sides = [model, ...(reference === undefined ? [] : [reference])];
    const parameters = await Promise.all(
      sides.map((side) => side.parameters.load(side.model.runnable.graph.output.tensors)),
    );
    const writer = await this.#openWriter();
    const scores: PositionScores[] = [];
    const tasks = async function* (): AsyncGenerator<ScoreTask, void, undefined> {
      for (const [index, { tokens }] of corpus.windows.entries()) {
        const [own, other] = await Promise.all(
          sides.map((side, place) => scoredModel(side, parameters[place]!, index)),
        );
        yield {
          kind: "score",
          index,
          tokens,
          positions,
          rows: memory.rows,
          model: own!,
          ...(other === undefined ? {} : { reference: { kind: "model", ...other } }),
          ...(planned?.kind === "saved"
            ? { reference: { kind: "likeliest", ...(await planned.saved.rows(index)) } }
            : {}),
          ...(save === undefined ? {} : { likeliest: save.header.likeliest }),
        };
      }
    };
    const operations = sides.reduce((sum, side) => sum + this.#operations(side.model).output, 0);
    let done = 0;
    const onDone = async (task: ScoreTask, { scores: found, kept }: ScoreResult): Promise<void> => {
      const { index } = task;
      model.states.release(index, task.model.hidden);
      if (task.reference?.kind === "model") reference!.states.release(index, task.reference.hidden);
      if (kept !== undefined) await writer!.put(index, kept);
      scores[index] = found;
      done += 1;
      this.#tracker.report("output", (operations * done) / corpus.windows.length);
    };
    const { signal } = this.#options;
    await runTasks({ tasks: tasks(), threads: threads.scoring, onDone, ...(signal && { signal }) });
    for (const [place, side] of sides.entries()) side.parameters.release(parameters[place]!);
    await this.#finishWriter(writer);
    return scores;
  }

  /** The file is removed when the run ends before it is finished. */
  async #openWriter(): Promise<ReferenceWriter | undefined> {
    const { save, corpus } = this.#plan;
    if (save === undefined) return undefined;
    const { path, header, force } = save;
    const writer = await createReferenceFile({ path, header, windows: corpus.windows, replace: force });
    let open = true;
    this.#closing.push(async () => {
      if (open) await writer.abandon();
    });
    return {
      ...writer,
      finish: async () => {
        await writer.finish();
        open = false;
      },
    };
  }

  async #finishWriter(writer: ReferenceWriter | undefined): Promise<void> {
    if (writer === undefined) return;
    await writer.finish();
    const { path, bytes } = this.#plan.save!;
    this.#options.onEvent?.({ type: "output:done", files: [path], bytes });
  }
}

async function scoredModel(
  { model, states }: RunThrough,
  parameters: ParameterSet,
  window: number,
): Promise<ScoredModel> {
  const { graph } = model.runnable;
  return {
    name: model.runnable.name,
    graph: graph.output,
    parameters,
    hidden: await states.take(window),
    width: graph.embedding.width,
  };
}
