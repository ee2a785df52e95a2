import { createHash } from "node:crypto";
import { QuernError } from "@quern/tensor";
import { z } from "zod";
import type { QueueConnection } from "./connection.ts";
import { type SharedIdentity, sharedIdentity } from "./compare-identity.ts";
import { type RunRequest, runRequest } from "./run-request.ts";
import { type SharedPath, sharedPath } from "./shared-path.ts";

/** In front of every key. */
export const PREFIX = "quern";

/** Milliseconds that a run outlives its coordinator, unless it says that it is alive. */
const RUN_LIFE = 20_000;

/** In this order runs are taken. */
const RUNS = `${PREFIX}:runs`;

/** What workers need to know of a run. It holds references only, and no secret. */
export interface RunRecord {
  readonly id: string;
  readonly identity: SharedIdentity;
  readonly request: RunRequest;
  /** Final paths of the files of all outputs. */
  readonly files: readonly SharedPath[];
  /** Positions of those that are not finished: their partial files are there. */
  readonly unfinished: readonly number[];
}

const runRecord: z.ZodType<RunRecord> = z.strictObject({
  id: z.uuid(),
  identity: sharedIdentity,
  request: runRequest,
  files: z.array(sharedPath).min(1),
  unfinished: z.array(z.int().nonnegative()),
});

/** A worker as the coordinator sees it. */
export interface WorkerRecord {
  readonly name: string;
  /** "native avx512"; absent of one that does not take part. */
  readonly kernels?: string | undefined;
  readonly refusal?: { readonly code: string; readonly message: string } | undefined;
}

const workerRecord: z.ZodType<WorkerRecord> = z.object({
  name: z.string(),
  kernels: z.string().optional(),
  refusal: z.object({ code: z.string(), message: z.string() }).optional(),
});

/** Name of the BullMQ queue of a run. */
export function queueName(id: string): string {
  return `run-${id}`;
}

const keyOf = (id: string): string => `${PREFIX}:run:${id}`;
const workersKey = (id: string): string => `${PREFIX}:run:${id}:workers`;

function outputsKey(files: readonly SharedPath[]): string {
  return `${PREFIX}:outputs:${createHash("sha256").update(JSON.stringify(files)).digest("hex")}`;
}

/**
 * Makes a run known.
 *
 * @returns the run that had the same files before, which a coordinator has left that is no more
 */
export async function publishRun({ redis }: QueueConnection, record: RunRecord): Promise<string | undefined> {
  const before = await redis.set(outputsKey(record.files), record.id, "PX", RUN_LIFE, "GET");
  await redis.set(keyOf(record.id), JSON.stringify(record), "PX", RUN_LIFE);
  await redis.zadd(RUNS, "NX", `${Date.now()}`, record.id);
  return before ?? undefined;
}

/** Says that the coordinator is alive. @returns false when the run is no more */
export async function keepRun({ redis }: QueueConnection, record: RunRecord): Promise<boolean> {
  const kept = await redis.pexpire(keyOf(record.id), RUN_LIFE);
  if (kept === 0) return false;
  await redis.pexpire(outputsKey(record.files), RUN_LIFE);
  await redis.pexpire(workersKey(record.id), RUN_LIFE);
  return true;
}

/** Whether another run writes the files of one. */
export async function isTaken({ redis }: QueueConnection, { id, files }: RunRecord): Promise<boolean> {
  const owner = await redis.get(outputsKey(files));
  return owner !== null && owner !== id;
}

/** Milliseconds after which a coordinator says so. */
export const KEEP_INTERVAL: number = RUN_LIFE / 4;

/** Workers learn from this that there is nothing more to do. */
export async function forgetRun(
  { redis }: QueueConnection,
  { id, files }: { readonly id: string; readonly files: readonly SharedPath[] },
): Promise<void> {
  await redis.del(keyOf(id), workersKey(id));
  await redis.zrem(RUNS, id);
  const outputs = outputsKey(files);
  if ((await redis.get(outputs)) === id) await redis.del(outputs);
}

/** Lets everything expire that workers have left of a run as they went. */
export async function expireRun({ redis }: QueueConnection, id: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${PREFIX}:${queueName(id)}:*`, count: 1000 })) {
    for (const key of keys as string[]) await redis.pexpire(key, RUN_LIFE);
  }
}

export async function isRunAlive({ redis }: QueueConnection, id: string): Promise<boolean> {
  return (await redis.exists(keyOf(id))) === 1;
}

/** Runs, the oldest first; some may be no more. */
export function listRuns({ redis }: QueueConnection): Promise<string[]> {
  return redis.zrange(RUNS, "0", "-1");
}

/**
 * @returns undefined of a run that is no more
 * @throws QuernError `QUEUE_OTHER_RUN` for one that this version cannot read
 */
export async function readRun({ redis }: QueueConnection, id: string): Promise<RunRecord | undefined> {
  const text = await redis.get(keyOf(id));
  if (text === null) {
    await redis.zrem(RUNS, id);
    return undefined;
  }
  const parsed = runRecord.safeParse(jsonOf(text));
  if (parsed.success && parsed.data.id === id) return parsed.data;
  throw new QuernError(
    "QUEUE_OTHER_RUN",
    "This worker cannot take part in a run: it was made by another version of the program.",
  );
}

/** Tells the coordinator of a worker. */
export async function reportWorker(
  { redis }: QueueConnection,
  { id, worker }: { readonly id: string; readonly worker: WorkerRecord },
): Promise<void> {
  await redis.hset(workersKey(id), worker.name, JSON.stringify(worker));
  await redis.pexpire(workersKey(id), RUN_LIFE);
}

/** Workers that have taken part in a run, or refused to. */
export async function listWorkers({ redis }: QueueConnection, id: string): Promise<WorkerRecord[]> {
  const texts = Object.values(await redis.hgetall(workersKey(id)));
  return texts.flatMap((text) => workerRecord.safeParse(jsonOf(text)).data ?? []);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
