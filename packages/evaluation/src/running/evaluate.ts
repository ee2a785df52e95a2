import { HiddenStates, openParameters, type ParameterSource, runModel } from "@quern/inference";
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
import type { ScoreResult, ScoreTask } from "./score-window.ts";

export interface EvaluateOptions {
  /** Ends the run with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Called with news of the run. */
  readonly onEvent?: (event: EvaluationEvent) => void;
}

/**
 * Runs what a plan says. Each model goes through its blocks by itself, all windows a block at a time; then the output layers make
 * logits, window by window and some positions at a time, and these are reduced to figures at once. Results do not depend on threads
 * and memory.
 *
 * @throws QuernError `ACTIVATION_NOT_FINITE` names the block, `OUTPUT_*`, `WORKER_*`, and what reading weights throws
 */
export async function evaluate(
  plan: EvaluationPlan,
  { signal, onEvent }: EvaluateOptions = {},
): Promise<EvaluationReport> {
  const started = performance.now();
  const run = new EvaluationRun(plan, { ...(signal && { signal }), ...(onEvent && { onEvent }) });
  try {
    const scores = await run.scores();
    const report = reportOf({ plan, scores, seconds: (performance.now() - started) / 1000 });
    onEvent?.({ type: "done", report });
    return report;
  } finally {
    await run.close();
  }
}

/** A model that has gone through its blocks. */
interface RunThrough {
  readonly model: EvaluationModel;
  readonly states: HiddenStates;
  readonly parameters: ParameterSource;
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
    const operations = this.#models.map((model) => totalOperations(this.#operations(model)));
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
      tokens: this.#models.length * corpus.windows.length * corpus.rule.context,
      windows: corpus.windows.length,
      files: save === undefined ? [] : [save.path],
    });
    const runs: RunThrough[] = [];
    for (const model of this.#models) runs.push(await this.#runBlocks(model, threads));
    return this.#score(threads, runs[0]!, runs[1]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
  }

  #operations({ runnable }: EvaluationModel): ReturnType<typeof operationsOf> {
    return operationsOf(runnable, this.#plan.corpus, this.#plan.positions);
  }

  async #runBlocks(model: EvaluationModel, threads: EvaluationThreads): Promise<RunThrough> {
    const { corpus, memory, folder } = this.#plan;
    const { runnable } = model;
    const windows = corpus.windows.map(({ tokens }) => ({ tokens, starts: [0] }));
    const parameters = openParameters(runnable);
    this.#closing.push(() => parameters.close());
    const all = this.#models.reduce((sum, each) => sum + stateBytes(each.runnable, corpus), 0);
    const states = await HiddenStates.create({
      tokens: windows.map(({ tokens }) => tokens.length),
      width: runnable.graph.embedding.width,
      memory: Math.floor((memory.states * stateBytes(runnable, corpus)) / all),
      folder,
    });
    this.#closing.push(() => states.close());
    const { blocks } = this.#operations(model);
    await runModel({
      model: runnable,
      parameters,
      threads: threads.inference,
      windows,
      states,
      ...(this.#options.signal && { signal: this.#options.signal }),
      onProgress: ({ block, windowsDone, windows: count }) => {
        const place = `${runnable.name}, block ${block + 1} of ${blocks.length}`;
        this.#tracker.report(place, (blocks[block]! * windowsDone) / count);
        if (windowsDone === count) this.#tracker.next(blocks[block]!);
      },
    }).catch((error: unknown) => {
      throw naming(runnable.name, error);
    });
    // The output layers of all models come next.
    parameters.shrink();
    return { model, states, parameters };
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

/** Of two models, an error should say which has it. */
function naming(name: string, error: unknown): unknown {
  if (!(error instanceof QuernError) || error.code !== "ACTIVATION_NOT_FINITE") return error;
  const { code, message, subject } = error;
  return new QuernError(code, `${name}: ${message}`, { subject: { file: name, ...subject }, cause: error });
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
