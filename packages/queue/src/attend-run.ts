import { setTimeout as sleep } from "node:timers/promises";
import type { PartConverter } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { UnrecoverableError, Worker } from "bullmq";
import { abortable } from "./abortable.ts";
import type { QueueConnection } from "./connection.ts";
import type { WorkerEvent } from "./events.ts";
import { type JobData, type JobResult, parseJob } from "./job.ts";
import { settlePartialFiles } from "./partial-files.ts";
import { toPlainError } from "./plain-error.ts";
import { expireRun, isRunAlive, PREFIX, queueName } from "./run-record.ts";
import type { PartDescription, SharedPlan } from "./shared-plan.ts";

/** How often a worker looks whether the run is still wanted. */
const LOOK_INTERVAL = 200;

/** Jobs that a worker has in hand: while one is being finished, the other keeps its threads busy. */
const JOBS_IN_HAND = 2;

/** How often a job may be lost with the worker that has it in hand. */
const LOSSES = 3;

/** Errors that are the same wherever a job is tried. */
const HOPELESS = /^(WEIGHT_|EXPRESSION_|KERNEL_|FOLDING_|QUANTIZE_|QUEUE_JOB_INVALID)/;

/**
 * Works for a run until it is over, or `signal` says to leave: jobs in hand are finished first.
 *
 * @param params.name "host-1234"
 * @param params.lease Milliseconds without a sign of life after which others take over what this worker has in hand.
 * @returns jobs that were done
 */
export async function attendRun<Part, Outcome>(params: {
  readonly connection: QueueConnection;
  readonly run: string;
  readonly plan: SharedPlan<Part, Outcome>;
  readonly converter: PartConverter<Part, Outcome>;
  readonly name: string;
  readonly lease: number;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: WorkerEvent) => void;
}): Promise<number> {
  const { connection, run, plan, converter, name, lease, signal, onEvent } = params;
  const over = new AbortController();
  let jobs = 0;
  const client = connection.another();
  const worker = new Worker<unknown, JobResult<Outcome>>(
    queueName(run),
    async (job) => {
      const started = performance.now();
      let parts: readonly PartDescription[] = [];
      try {
        const { work } = checkJob(plan, job.data);
        parts = work.map((part) => plan.describe(part)!);
        const outcomes = await converter.convert({ work, signal: over.signal });
        const files = new Set(parts.flatMap((part) => part.files));
        await settlePartialFiles([...files].map((file) => plan.files[file]!));
        jobs++;
        const seconds = (performance.now() - started) / 1000;
        onEvent?.({ type: "job:done", run, tensors: namesOf(parts), seconds });
        return { kernels: converter.kernels, outcomes };
      } catch (error) {
        if (!over.signal.aborted) onEvent?.({ type: "job:failed", run, tensors: namesOf(parts), error });
        const plain = JSON.stringify(toPlainError(error));
        throw HOPELESS.test(toPlainError(error).code) ? new UnrecoverableError(plain) : new Error(plain);
      }
    },
    {
      connection: client,
      prefix: PREFIX,
      name,
      concurrency: JOBS_IN_HAND,
      lockDuration: lease,
      stalledInterval: Math.ceil(lease / 2),
      maxStalledCount: LOSSES,
    },
  );
  // Of connections, which come back, and of jobs that have been taken away with their run.
  worker.on("error", () => undefined);
  try {
    const isWanted = (): Promise<boolean> => abortable(isRunAlive(connection, run), signal);
    while (!signal.aborted && (await isWanted().catch(unlessAborted(signal)))) {
      await sleep(LOOK_INTERVAL, undefined, { signal }).catch(() => undefined);
    }
    if (!signal.aborted) over.abort(new QuernError("QUEUE_RUN_OVER", "The run is over."));
    return jobs;
  } finally {
    // A Redis that is gone is told nothing any more.
    if (connection.lost.aborted) over.abort(connection.lost.reason);
    await closeWorker(worker, connection);
    client.disconnect();
    if (over.signal.aborted && !connection.lost.aborted) await expireRun(connection, run);
  }
}

/** Waits for what a worker has in hand, no longer than there is a Redis to tell. */
async function closeWorker(
  worker: { close(force: boolean): Promise<void> },
  { lost }: QueueConnection,
): Promise<void> {
  await abortable(worker.close(lost.aborted), lost).catch((error: unknown) => {
    if (!lost.aborted) throw error;
  });
}

/** What says no when there was no answer before a signal. */
function unlessAborted(signal: AbortSignal): (error: unknown) => false {
  return (error) => {
    if (signal.aborted) return false;
    throw error;
  };
}

/** @throws QuernError `QUEUE_JOB_INVALID` */
function checkJob<Part>(plan: SharedPlan<Part>, data: unknown): JobData<Part> {
  const job = parseJob(plan, data);
  if (job !== undefined) return job;
  throw new QuernError("QUEUE_JOB_INVALID", "A job of the queue names no tensors of its run.");
}

function namesOf(parts: readonly PartDescription[]): string[] {
  return parts.flatMap(({ tensors }) => tensors);
}
