import { type KernelBackend, loadKernels } from "@quern/kernels";
import { Workspace } from "@quern/models";
import { compiledModule, type Service, startThreads, type Thread } from "@quern/threads";
import type { BlockResult } from "../tasks/block.ts";
import { type InferenceTask, inferenceTasks } from "../tasks/inference-tasks.ts";

interface InferenceOptions {
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

/** A thread that runs models. */
export type InferenceThread = Thread<InferenceTask, BlockResult | void>;

export async function createService({
  backend,
}: InferenceOptions): Promise<Service<InferenceTask, BlockResult | void>> {
  const kernels = await loadKernels(backend === undefined ? {} : { backend });
  const { embed, block } = inferenceTasks({ kernels, workspace: new Workspace() });
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    run: (task) => (task.kind === "embed" ? embed(task) : block(task)),
    close: async () => {},
  };
}

/** Threads that run models, and nothing else; to be closed with `closeThreads`. @param params.threads 0: the calling thread. */
export function startInference(params: InferenceOptions & { threads: number }): Promise<InferenceThread[]> {
  const { threads, ...options } = params;
  return startThreads({
    count: threads,
    createService,
    module: () => compiledModule("./service.ts", import.meta.url),
    options,
  });
}
