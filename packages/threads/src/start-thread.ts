import { Worker } from "node:worker_threads";
import { QuernError } from "@quern/tensor";
import { compiledModule } from "./compiled-module.ts";
import { fromPlainError, type ThreadMessage, type ThreadOptions, type ThreadRequest } from "./messages.ts";
import type { Thread } from "./service.ts";

interface PendingTask<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Starts a thread that runs tasks.
 *
 * A pool library would add nothing here: what to run next is decided by its users, tasks are told apart by their id, every thread is
 * alike and lives as long as the work.
 *
 * @throws QuernError `WORKER_FAILED`, `WORKER_MISSING`, and what `createService` throws in the thread
 */
export async function startThread<Task, Result>(options: ThreadOptions): Promise<Thread<Task, Result>> {
  const worker = new Worker(compiledModule("./worker.ts", import.meta.url), {
    workerData: options,
    // Threads run compiled code, whatever loaders and conditions this process runs its sources with.
    execArgv: [],
    // Weights and activations live outside the heap, and what a thread allocates on it is small: this saves 15 MB a thread.
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  });
  const pending = new Map<number, PendingTask<Result>>();
  let lost: QuernError | undefined;
  let nextId = 0;

  const description = await new Promise<string>((resolve, reject) => {
    const lose = (message: string, cause?: unknown): void => {
      lost ??= new QuernError("WORKER_FAILED", message, { cause });
      reject(lost);
      for (const task of pending.values()) task.reject(lost);
      pending.clear();
    };
    worker.on("error", (cause) => lose(`A worker thread failed: ${cause.message}`, cause));
    worker.on("exit", (code) => lose(`A worker thread ended with exit code ${code}`));
    worker.on("message", (message: ThreadMessage) => {
      if (message.type === "ready") return resolve(message.description);
      if (message.type === "failed") return reject(fromPlainError(message.error));
      const task = pending.get(message.id);
      pending.delete(message.id);
      if (message.type === "done") task?.resolve(message.result as Result);
      else task?.reject(fromPlainError(message.error));
    });
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });

  const { idle: idleBefore } = worker.performance.eventLoopUtilization();
  return {
    description,
    idleTime: () => worker.performance.eventLoopUtilization().idle - idleBefore,
    run(task, lane) {
      if (lost !== undefined) return Promise.reject(lost);
      return new Promise((resolve, reject) => {
        const request: ThreadRequest = { id: nextId++, task, lane };
        pending.set(request.id, { resolve, reject });
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(request);
      });
    },
    async close() {
      await worker.terminate();
    },
  };
}
