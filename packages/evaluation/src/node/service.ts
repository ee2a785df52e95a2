import { type BlockResult, type InferenceTask, type InferenceThread, inferenceTasks } from "@quern/inference";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { Workspace } from "@quern/models";
import { compiledModule, type Service, startThreads, type Thread } from "@quern/threads";
import { type ScoreResult, scoreWindow, type ScoreTask } from "../running/score-window.ts";

interface EvaluationServiceOptions {
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

type EvaluationTask = InferenceTask | ScoreTask;
type EvaluationResult = BlockResult | ScoreResult | void;

/** Threads that run models and score what comes out. */
export interface EvaluationThreads {
  readonly inference: readonly InferenceThread[];
  readonly scoring: readonly Thread<ScoreTask, ScoreResult>[];
  /** To be closed with `closeThreads`. */
  readonly all: readonly Thread<EvaluationTask, EvaluationResult>[];
}

export async function createService({
  backend,
}: EvaluationServiceOptions): Promise<Service<EvaluationTask, EvaluationResult>> {
  const kernels = await loadKernels(backend === undefined ? {} : { backend });
  const resources = { kernels, workspace: new Workspace() };
  const handlers: {
    readonly [Kind in EvaluationTask["kind"]]: (
      task: Extract<EvaluationTask, { kind: Kind }>,
    ) => EvaluationResult;
  } = { ...inferenceTasks(resources), score: (task) => scoreWindow(resources, task) };
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    run: (task) => handlers[task.kind](task as never),
    close: async () => {},
  };
}

/** @param params.threads 0: the calling thread. */
export async function startEvaluation(
  params: EvaluationServiceOptions & { readonly threads: number },
): Promise<EvaluationThreads> {
  const { threads, ...options } = params;
  const all = await startThreads({
    count: threads,
    createService,
    module: () => compiledModule("./service.ts", import.meta.url),
    options,
  });
  // Each kind of task has its kind of result.
  return {
    inference: all as readonly InferenceThread[],
    scoring: all as readonly Thread<ScoreTask, ScoreResult>[],
    all,
  };
}
