import { performance } from "node:perf_hooks";
import type { CreateService, Thread } from "./service.ts";
import { startThread } from "./start-thread.ts";

/**
 * Starts as many worker threads, or for 0 the service on this thread.
 *
 * @param params.createService What the module exports under this name.
 * @param params.module Where it is, by `compiledModule`; asked for only when threads are started.
 * @param params.options For `createService`: plain data.
 * @throws QuernError `WORKER_FAILED`, `WORKER_MISSING`, and what `createService` throws; threads that were started are closed
 */
export async function startThreads<Options, Task, Result>(params: {
  count: number;
  createService: CreateService<Options, Task, Result>;
  module: () => URL;
  options: Options;
}): Promise<Thread<Task, Result>[]> {
  const { count, createService, module, options } = params;
  if (count === 0) return [await onThisThread(createService, options)];
  const { href } = module();
  const starting = Array.from({ length: count }, () => startThread<Task, Result>({ module: href, options }));
  const started = await Promise.allSettled(starting);
  const threads = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = started.find((result) => result.status === "rejected");
  if (failed === undefined) return threads;
  await closeThreads(threads);
  throw failed.reason;
}

async function onThisThread<Options, Task, Result>(
  createService: CreateService<Options, Task, Result>,
  options: Options,
): Promise<Thread<Task, Result>> {
  const service = await createService(options);
  const idleBefore = performance.eventLoopUtilization().idle;
  return {
    description: service.description,
    idleTime: () => performance.eventLoopUtilization().idle - idleBefore,
    run: async (task, lane) => service.run(task, lane),
    close: () => service.close(),
  };
}

/** Ends threads, whatever they are doing. */
export async function closeThreads(threads: readonly Thread<never, unknown>[]): Promise<void> {
  await Promise.all(threads.map((thread) => thread.close()));
}
