import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/tensor";
import { abortable } from "./abortable.ts";
import { attendRun } from "./attend-run.ts";
import type { QueueConnection } from "./connection.ts";
import type { QueueEvent } from "./events.ts";
import { JobBoard } from "./job-board.ts";
import {
  forgetRun,
  isTaken,
  KEEP_INTERVAL,
  keepRun,
  listWorkers,
  publishRun,
  type RunRecord,
} from "./run-record.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** How often the coordinator looks what has been done. */
const LOOK_INTERVAL = 100;

/** How often it looks who works. */
const WORKERS_INTERVAL = 1000;

/** What taking a run back may take, when Redis does not answer any more. */
const CLEANUP_PATIENCE = 3000;

/**
 * Puts up a run, waits until its jobs are done, and takes the run back, however it ends.
 *
 * @param params.works Name and lease of this process, where it works, too.
 * @param params.onDone What workers have written is in the files of this machine: a part of `work`, with its outcome, is done.
 * @throws QuernError `QUEUE_RUN_LOST` when Redis has nothing of the run any more: another one may follow; otherwise as `delegateToQueue`
 */
export async function coordinateRun<Part, Outcome>(params: {
  readonly connection: QueueConnection;
  readonly record: RunRecord;
  readonly plan: SharedPlan<Part, Outcome>;
  readonly work: readonly Part[];
  readonly works: { readonly name: string; readonly lease: number } | undefined;
  readonly signal: AbortSignal;
  readonly onStart: (part: Part) => void;
  readonly onDone: (outcome: Outcome, kernels: string) => Promise<void>;
  readonly onEvent: ((event: QueueEvent) => void) | undefined;
}): Promise<void> {
  const { connection, record, plan, work, works, onStart, onDone, onEvent } = params;
  const failed = new AbortController();
  const signal = AbortSignal.any([params.signal, connection.lost, failed.signal]);
  const over = new AbortController();
  const board = new JobBoard({ connection, run: record.id, plan });
  const tellWorkers = workerNews(connection, record.id, onEvent);
  const working: Promise<unknown>[] = [];
  const background = (task: () => Promise<void>): void => {
    working.push(task().catch((error: unknown) => failed.abort(error)));
  };
  /** What waits for Redis does not outlast the run. */
  const unlessOver = <T>(waiting: Promise<T>): Promise<T> => abortable(waiting, signal);

  try {
    signal.throwIfAborted();
    const before = await unlessOver(publishRun(connection, record));
    if (before !== undefined) {
      await unlessOver(forgetRun(connection, { ...record, id: before }));
      await unlessOver(new JobBoard({ connection, run: before, plan }).clear());
    }
    background(() => repeat(KEEP_INTERVAL, over.signal, () => keepAlive(connection, record)));
    await unlessOver(board.post(work));
    background(() => repeat(WORKERS_INTERVAL, over.signal, () => unlessOver(tellWorkers())));
    if (works !== undefined) {
      background(async () => {
        const converter = await plan.open();
        const leave = AbortSignal.any([over.signal, signal]);
        try {
          await attendRun({ connection, run: record.id, plan, converter, ...works, signal: leave });
        } finally {
          await converter.close();
        }
      });
    }
    while (!board.isDone) {
      for (const part of await unlessOver(board.started())) onStart(part);
      for (const done of await unlessOver(board.takeDone())) {
        for (const outcome of done.outcomes) await onDone(outcome, done.kernels);
        if (done.repeated !== undefined) onEvent?.({ type: "job:repeated", tensor: done.repeated });
      }
      if (!board.isDone) await sleep(LOOK_INTERVAL, undefined, { signal }).catch(() => undefined);
      signal.throwIfAborted();
    }
    // A short run may be over before it is looked who works.
    await unlessOver(tellWorkers());
  } catch (error) {
    // Jobs that are gone make errors of many kinds.
    if (!(error instanceof QuernError) && !params.signal.aborted && !connection.lost.aborted) {
      await abortable(keepAlive(connection, record), AbortSignal.any([params.signal, connection.lost]));
    }
    throw error;
  } finally {
    over.abort();
    const cleanup = forgetRun(connection, record).then(() => Promise.all([board.clear(), ...working]));
    cleanup.catch(() => undefined);
    await Promise.race([cleanup, sleep(CLEANUP_PATIENCE, undefined, { ref: false })]);
    // What workers of other machines leave behind as they go.
    await Promise.race([board.clear(), sleep(CLEANUP_PATIENCE, undefined, { ref: false })]).catch(
      () => undefined,
    );
  }
}

/** Tells of each worker once. */
function workerNews(
  connection: QueueConnection,
  run: string,
  onEvent: ((event: QueueEvent) => void) | undefined,
): () => Promise<void> {
  const known = new Set<string>();
  return async () => {
    for (const { name: worker, kernels, refusal } of await listWorkers(connection, run)) {
      if (known.has(worker)) continue;
      known.add(worker);
      if (kernels !== undefined) onEvent?.({ type: "worker:joined", worker, kernels });
      else if (refusal !== undefined) onEvent?.({ type: "worker:refused", worker, ...refusal });
    }
  };
}

/** @throws QuernError `QUEUE_RUN_LOST`, `QUEUE_RUN_TAKEN` */
async function keepAlive(connection: QueueConnection, record: RunRecord): Promise<void> {
  if (await keepRun(connection, record)) return;
  const { name } = connection;
  if (await isTaken(connection, record)) {
    throw new QuernError("QUEUE_RUN_TAKEN", `${name}: another process has begun to write the same files`);
  }
  throw new QuernError("QUEUE_RUN_LOST", `${name}: Redis has lost the run`);
}

async function repeat(interval: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work();
    await sleep(interval, undefined, { signal }).catch(() => undefined);
  }
}
