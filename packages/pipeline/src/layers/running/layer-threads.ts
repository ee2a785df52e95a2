import type { CheckpointShard } from "@quern/checkpoints";
import type { KernelBackend } from "@quern/kernels";
import { closeThreads, compiledModule, startThreads, taskQueue } from "@quern/threads";
import type { WrittenFile } from "../../node/file-writer.ts";
import { createService } from "../node/layer-service.ts";
import type { RunLayerTask } from "../tasks/task.ts";

/** Does work with threads that work on layers. */
export async function withLayerThreads<Result>(
  params: {
    readonly threads: number;
    readonly shards: readonly CheckpointShard[];
    /** Files that are written, which they read. @default none */
    readonly files?: readonly WrittenFile[];
    readonly backend: KernelBackend | undefined;
    readonly signal: AbortSignal;
  },
  work: (run: RunLayerTask) => Promise<Result>,
): Promise<Result> {
  const { threads: count, shards, files = [], backend, signal } = params;
  const threads = await startThreads({
    count,
    createService,
    module: () => compiledModule("../node/layer-service.ts", import.meta.url),
    options: { shards, files, ...(backend === undefined ? {} : { backend }) },
  });
  const failed = new AbortController();
  try {
    const queue = taskQueue({ threads, signal: AbortSignal.any([signal, failed.signal]) });
    return await work((task) => queue.run(task) as Promise<never>);
  } catch (error) {
    // What is still under way ends with it.
    failed.abort(error);
    throw error;
  } finally {
    await closeThreads(threads);
  }
}
