import type { Thread } from "./service.ts";

/**
 * Runs tasks on threads: each takes the next one as soon as it has room, so that all stay busy until the end.
 *
 * @param params.tasks Asked for one after another, in order.
 * @param params.lanes Tasks that a thread may have in hand at once. Default 1.
 * @param params.signal Ends the run with the reason of the signal; tasks in hand are not waited for.
 * @param params.onStart Called before a task is given to a thread.
 * @param params.onDone Called for each result, as it comes.
 * @throws the first error; tasks in hand are not waited for
 */
export async function runTasks<Task, Result>(params: {
  tasks: Iterable<Task> | AsyncIterable<Task>;
  threads: readonly Thread<Task, Result>[];
  lanes?: number;
  signal?: AbortSignal;
  onStart?: (task: Task) => void;
  onDone?: (task: Task, result: Result) => Promise<void> | void;
}): Promise<void> {
  const { threads, lanes = 1, signal, onStart, onDone } = params;
  const tasks = asyncIterator(params.tasks);
  const over = new AbortController();

  const runLane = async (thread: Thread<Task, Result>, lane: number): Promise<void> => {
    while (!over.signal.aborted) {
      const { value: task, done } = await tasks.next();
      if (done === true || over.signal.aborted) return;
      onStart?.(task);
      const result = await thread.run(task, lane);
      if (!over.signal.aborted) await onDone?.(task, result);
    }
  };

  const aborted = new Promise<never>((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
  });
  try {
    signal?.throwIfAborted();
    const running = threads.flatMap((thread) =>
      Array.from({ length: lanes }, (_, lane) => runLane(thread, lane)),
    );
    await Promise.race([Promise.all(running), aborted]);
  } finally {
    over.abort();
  }
}

async function* asyncIterator<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}
