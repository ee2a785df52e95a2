import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConversionDelegate, openTensorConverter } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { abortable } from "./abortable.ts";
import { attendRun } from "./attend-run.ts";
import { shareIdentity } from "./compare-identity.ts";
import type { QueueConnection } from "./connection.ts";
import type { ConversionRequest } from "./conversion-request.ts";
import type { QueueEvent } from "./events.ts";
import { JobBoard } from "./job-board.ts";
import { forgetRun, KEEP_INTERVAL, keepRun, listWorkers, publishRun, type RunRecord } from "./run-record.ts";
import { sharePath } from "./shared-path.ts";

/** How often the coordinator looks what has been done. */
const LOOK_INTERVAL = 200;

/** How often it looks who works. */
const WORKERS_INTERVAL = 1000;

/** What taking a run back may take, when Redis does not answer any more. */
const CLEANUP_PATIENCE = 3000;

export interface QueueDelegateParams {
  readonly connection: QueueConnection;
  /** From which workers make the same plan. */
  readonly request: ConversionRequest;
  /** Folder that each machine has, wherever it is there. Default: paths are the same everywhere. */
  readonly root?: string;
  /** "host-1234" */
  readonly name: string;
  /** Whether this process works, too. */
  readonly works: boolean;
  /** As of `attendRun`. */
  readonly lease: number;
  /** Called for every event, in order. */
  readonly onEvent?: (event: QueueEvent) => void;
}

/**
 * Lets the workers of a queue convert the tensors of a plan. What they have written is read back before it counts.
 *
 * The run is in Redis as long as this process says that it lives; however it ends, workers drop the run. Another coordinator of the same
 * files takes over.
 *
 * @returns what `convert` takes; its `run` throws QuernError what workers throw for tensors that cannot be converted, `QUEUE_JOB_LOST` for a
 * tensor whose workers die, `QUEUE_BYTES_DIFFER` where files are not on storage that is shared, `QUEUE_RUN_LOST`, `QUEUE_LOST`
 */
export function delegateToQueue(params: QueueDelegateParams): ConversionDelegate {
  const { connection, request, root, name, works, lease, onEvent } = params;
  return {
    async run({ plan, work, signal: stop, onStart, onDone }) {
      const paths = plan.outputs.flatMap(({ files }) => files.map(({ path }) => path));
      const record: RunRecord = {
        id: randomUUID(),
        identity: shareIdentity(plan.identity),
        request,
        files: paths.map((path) => sharePath(path, root)),
        outputs: [...new Set(work.flatMap(({ outputs }) => outputs))],
      };
      const failed = new AbortController();
      const signal = AbortSignal.any([stop, connection.lost, failed.signal]);
      const board = new JobBoard({ connection, run: record.id, plan });
      const kernels = new Set<string>();
      const known = new Set<string>();
      const working: Promise<unknown>[] = [];
      const background = (task: () => Promise<void>): void => {
        working.push(task().catch((error: unknown) => failed.abort(error)));
      };
      /** What waits for Redis does not outlast the run. */
      const unlessOver = <T>(waiting: Promise<T>): Promise<T> => abortable(waiting, signal);
      const lookAtWorkers = async (): Promise<void> => {
        for (const worker of await unlessOver(listWorkers(connection, record.id))) {
          if (known.has(worker.name)) continue;
          known.add(worker.name);
          if (worker.kernels !== undefined) {
            onEvent?.({ type: "worker:joined", worker: worker.name, kernels: worker.kernels });
          } else if (worker.refusal !== undefined) {
            onEvent?.({ type: "worker:refused", worker: worker.name, ...worker.refusal });
          }
        }
      };

      const over = new AbortController();
      try {
        signal.throwIfAborted();
        const before = await unlessOver(publishRun(connection, record));
        if (before !== undefined) {
          await unlessOver(forgetRun(connection, { ...record, id: before }));
          await unlessOver(new JobBoard({ connection, run: before, plan }).clear());
        }
        background(() => repeat(KEEP_INTERVAL, over.signal, () => keepAlive(connection, record)));
        await unlessOver(board.post(work));
        background(() => repeat(WORKERS_INTERVAL, over.signal, lookAtWorkers));
        if (works) {
          background(async () => {
            const converter = await openTensorConverter(plan);
            const leave = AbortSignal.any([over.signal, signal]);
            try {
              await attendRun({ connection, run: record.id, plan, converter, name, lease, signal: leave });
            } finally {
              await converter.close();
            }
          });
        }
        while (!board.isDone) {
          for (const tensor of await unlessOver(board.started())) onStart(tensor);
          for (const done of await unlessOver(board.takeDone())) {
            for (const outcome of done.outcomes) await onDone(outcome);
            if (done.repeated !== undefined) onEvent?.({ type: "job:repeated", tensor: done.repeated });
            else kernels.add(done.kernels);
          }
          if (!board.isDone) await sleep(LOOK_INTERVAL, undefined, { signal }).catch(() => undefined);
          signal.throwIfAborted();
        }
        return { kernels: [...kernels].sort().join(", ") };
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
    },
  };
}

async function keepAlive(connection: QueueConnection, record: RunRecord): Promise<void> {
  if (await keepRun(connection, record)) return;
  throw new QuernError(
    "QUEUE_RUN_LOST",
    `${connection.name}: the run is gone: Redis has lost its data, or another process writes the same files`,
  );
}

async function repeat(interval: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work();
    await sleep(interval, undefined, { signal }).catch(() => undefined);
  }
}
