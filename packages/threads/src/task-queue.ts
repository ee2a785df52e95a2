import type { Thread } from "./service.ts";

/** Tasks that wait for a thread. */
export interface TaskQueue<Task, Result> {
  /**
   * Runs a task as soon as a thread has room; tasks begin in the order in which they came.
   *
   * @throws what the task throws, and the reason of the signal
   */
  run(task: Task): Promise<Result>;
}

interface WaitingTask<Task, Result> {
  readonly task: Task;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A queue for tasks of which one is known only after others are done; of a list that is known, `runTasks` takes care.
 *
 * @param params.lanes Tasks that a thread may have in hand at once. @default 1
 * @param params.signal Fails all tasks with its reason, those in hand and those to come.
 */
export function taskQueue<Task, Result>(params: {
  readonly threads: readonly Thread<Task, Result>[];
  readonly lanes?: number;
  readonly signal: AbortSignal;
}): TaskQueue<Task, Result> {
  const { threads, lanes = 1, signal } = params;
  const idle = Array.from({ length: lanes }, (_, lane) => threads.map((thread) => ({ thread, lane }))).flat();
  const waiting: WaitingTask<Task, Result>[] = [];
  const unsettled = new Set<WaitingTask<Task, Result>>();

  const startNext = (): void => {
    while (waiting.length > 0 && idle.length > 0) {
      const next = waiting.shift()!;
      const place = idle.shift()!;
      place.thread
        .run(next.task, place.lane)
        .then(next.resolve, next.reject)
        .finally(() => {
          unsettled.delete(next);
          idle.push(place);
          startNext();
        });
    }
  };
  signal.addEventListener("abort", () => {
    waiting.length = 0;
    for (const { reject } of unsettled) reject(signal.reason);
    unsettled.clear();
  });
  return {
    run(task) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const entry = { task, resolve, reject };
        unsettled.add(entry);
        waiting.push(entry);
        startNext();
      });
    },
  };
}
