import type { CheckpointShard } from "@quern/checkpoints";
import type { KernelBackend } from "@quern/kernels";
import { closeThreads, compiledModule, startThreads, taskQueue, type Thread } from "@quern/threads";
import type { WrittenFile } from "../../node/file-writer.ts";
import { createService } from "../node/layer-service.ts";
import type { LayerResult, LayerTask, RunLayerTask } from "../tasks/task.ts";

/** What threads that work on layers are told. */
export interface LayerThreadsParams {
  /** How many; 0 is the calling thread. */
  readonly threads: number;
  readonly shards: readonly CheckpointShard[];
  /** Files that are written, which they read. @default none */
  readonly files?: readonly WrittenFile[];
  readonly backend: KernelBackend | undefined;
}

/** Threads that work on layers, to be closed. */
export function startLayerThreads(params: LayerThreadsParams): Promise<Thread<LayerTask, LayerResult>[]> {
  const { threads: count, shards, files = [], backend } = params;
  return startThreads({
    count,
    createService,
    module: () => compiledModule("../node/layer-service.ts", import.meta.url),
    options: { shards, files, ...(backend === undefined ? {} : { backend }) },
  });
}

/** Does work with threads that work on layers. */
export async function withLayerThreads<Result>(
  params: LayerThreadsParams & { readonly signal: AbortSignal },
  work: (run: RunLayerTask) => Promise<Result>,
): Promise<Result> {
  const threads = await startLayerThreads(params);
  const failed = new AbortController();
  try {
    const queue = taskQueue({ threads, signal: AbortSignal.any([params.signal, failed.signal]) });
    return await work((task) => queue.run(task) as Promise<never>);
  } catch (error) {
    // What is still under way ends with it.
    failed.abort(error);
    throw error;
  } finally {
    await closeThreads(threads);
  }
}
