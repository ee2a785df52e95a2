import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/tensor";
import { abortable } from "./abortable.ts";
import { attendRun } from "./attend-run.ts";
import { checkIdentity, checkTool } from "./compare-identity.ts";
import type { QueueConnection } from "./connection.ts";
import type { WorkerEvent } from "./events.ts";
import { checkPartialFiles } from "./partial-files.ts";
import { asQueueError } from "./command-error.ts";
import { toPlainError } from "./plain-error.ts";
import { listRuns, readRun, reportWorker, type RunRecord } from "./run-record.ts";
import type { RunRequest } from "./run-request.ts";
import { localPath } from "./shared-path.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** How often a worker looks for runs. */
const LOOK_INTERVAL = 100;

/** Milliseconds until it tries once more to take part in a run whose source or files it could not open. */
const TRY_AGAIN = 15_000;

/** Errors that time does not mend. */
const FINAL = new Set(["QUEUE_OTHER_RUN", "QUEUE_ROOT_MISSING", "QUEUE_PATH_OUTSIDE"]);

export interface WorkParams {
  readonly connection: QueueConnection;
  /** "quern 1.0.0": what plans of this process say in their identity. */
  readonly tool: string;
  /** Plans what a run asks for, with the resources of this machine. */
  readonly plan: (request: RunRequest) => Promise<SharedPlan>;
  /** Folder outside of which nothing is touched, and below which runs may name their files. Default: paths are the same everywhere. */
  readonly root?: string;
  /** "host-1234" */
  readonly name: string;
  /** Milliseconds without a sign of life after which others take over what this worker has in hand. */
  readonly lease: number;
  /** Milliseconds without a run to work for after which to leave. Default: never. */
  readonly idle?: number;
  /** Ends the work, when jobs in hand are finished. */
  readonly signal: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: WorkerEvent) => void;
}

/**
 * Works for the runs of a queue, the oldest first, until it is told to leave.
 *
 * A run that this process would not write the same bytes for is refused; its coordinator is told why.
 *
 * @throws QuernError `QUEUE_LOST` when Redis has been away for too long, `QUEUE_COMMAND_FAILED`
 */
export async function work(params: WorkParams): Promise<void> {
  const { connection, signal, idle = Number.POSITIVE_INFINITY } = params;
  const stop = AbortSignal.any([signal, connection.lost]);
  /** When runs are looked at again, by their id. */
  const refused = new Map<string, number>();
  let lastWork = Date.now();
  while (!stop.aborted && Date.now() - lastWork < idle) {
    const attended = await attendNext({ ...params, signal: stop }, refused).catch((error: unknown) => {
      if (!stop.aborted) throw asQueueError(connection, error);
    });
    if (attended === true) lastWork = Date.now();
    else await sleep(LOOK_INTERVAL, undefined, { signal: stop }).catch(() => undefined);
  }
  connection.lost.throwIfAborted();
}

/** @returns whether there was a run to work for */
async function attendNext(params: WorkParams, refused: Map<string, number>): Promise<boolean> {
  const { connection, onEvent, name, signal } = params;
  for (const id of await abortable(listRuns(connection), signal)) {
    if ((refused.get(id) ?? 0) > Date.now()) continue;
    const isFirst = !refused.has(id);
    try {
      const record = await abortable(readRun(connection, id), signal);
      if (record === undefined) continue;
      await attend(params, record);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toPlainError(error);
      refused.set(id, FINAL.has(code) ? Number.POSITIVE_INFINITY : Date.now() + TRY_AGAIN);
      if (!isFirst) continue;
      onEvent?.({ type: "run:refused", run: id, error });
      const report = reportWorker(connection, { id, worker: { name, refusal: { code, message } } });
      await abortable(report, signal);
    }
  }
  return false;
}

async function attend(params: WorkParams, record: RunRecord): Promise<void> {
  const { connection, tool, root, name, lease, signal, onEvent } = params;
  const { id: run } = record;
  checkTool(tool, record.identity.tool);
  const plan = await params.plan(record.request);
  try {
    checkIdentity(plan.identity, record.identity);
    checkNames(plan, record, root);
    await checkPartialFiles(record.unfinished.flatMap((file) => plan.files[file] ?? []));
    const converter = await plan.open();
    try {
      await reportWorker(connection, { id: run, worker: { name, kernels: converter.kernels } });
      onEvent?.({ type: "run:joined", run, model: plan.model, tensors: plan.tensors });
      const jobs = await attendRun({
        connection,
        run,
        plan,
        converter,
        name,
        lease,
        signal,
        ...(onEvent && { onEvent }),
      });
      onEvent?.({ type: "run:left", run, jobs });
    } finally {
      await converter.close();
    }
  } finally {
    await plan.close?.();
  }
}

/** @throws QuernError `QUEUE_OTHER_RUN` where the plan would write other files than the run's */
function checkNames(plan: SharedPlan, { files }: RunRecord, root: string | undefined): void {
  const planned = plan.files.map(({ path }) => path);
  const wanted = files.map((path) => localPath(path, root));
  if (planned.length === wanted.length && planned.every((path, index) => path === wanted[index])) return;
  throw new QuernError(
    "QUEUE_OTHER_RUN",
    "This worker cannot take part in the run: its files are called otherwise here.",
  );
}
