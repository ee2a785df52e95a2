import { resolve } from "node:path";
import { work, type WorkerEvent } from "@quern/queue";
import { formatDuration } from "../format/duration.ts";
import { formatInteger } from "../format/number.ts";
import { printable } from "../format/printable.ts";
import { errorRecord } from "../error-report.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { tool } from "../version.ts";
import { connectToQueue, workerName } from "./connect-to-queue.ts";
import { planRequested } from "./plan-requested.ts";
import type { QueueOptions } from "./queue-options.ts";
import type { ResourceOptions } from "./shared-options.ts";

/** What commander makes of the options of `quern worker`. */
export interface WorkerOptions extends QueueOptions, ResourceOptions {
  readonly queue: string;
  /** Seconds. */
  readonly idle?: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** Works for a queue until the user has had enough, or there is nothing to do. */
export async function runWorker({
  options,
  host,
}: {
  readonly options: WorkerOptions;
  readonly host: Host;
}): Promise<void> {
  const leaving = new AbortController();
  const ignoreInterrupts = host.onInterrupt(() => {
    // The next signal meets nobody who listens, and ends the process at once.
    ignoreInterrupts();
    leaving.abort();
  });
  const root = options.root === undefined ? undefined : resolve(host.cwd, options.root);
  const tell = teller(options, host);
  try {
    const connection = await connectToQueue(options.queue, host, leaving.signal);
    try {
      if (!options.json && !options.quiet) host.stderr.write(`${workerName} works for ${connection.name}\n`);
      await work({
        connection,
        tool,
        plan: (request) => planRequested({ request, root, options, host }),
        ...(root !== undefined && { root }),
        name: workerName,
        lease: options.lease * 1000,
        ...(options.idle !== undefined && { idle: options.idle * 1000 }),
        signal: leaving.signal,
        onEvent: tell,
      });
    } finally {
      connection.close();
    }
  } catch (error) {
    if (error !== leaving.signal.reason) throw error;
  } finally {
    ignoreInterrupts();
  }
}

/** Says what a worker does, in the way that the options want. */
function teller(
  { json, quiet, verbose }: WorkerOptions,
  { stdout, stderr }: Host,
): (event: WorkerEvent) => void {
  if (json) {
    return (event) =>
      writeJsonLine(stdout, "error" in event ? { ...event, error: errorRecord(event.error) } : event);
  }
  return (event) => {
    const line = lineOf(event, verbose === true);
    if (!quiet || "error" in event) stderr.write(`${printable(line)}\n`);
  };
}

function lineOf(event: WorkerEvent, namesAll: boolean): string {
  switch (event.type) {
    case "run:joined":
      return `works on ${event.model}: ${formatInteger(event.tensors)} tensors`;
    case "run:refused":
      return `refused: ${messageOf(event.error)}`;
    case "run:left":
      return `left: ${formatInteger(event.jobs)} jobs done`;
    case "job:done":
      return `converted ${namesOf(event.tensors, namesAll)} in ${formatDuration(event.seconds * 1000)}`;
    default:
      return `failed: ${namesOf(event.tensors, namesAll)}: ${messageOf(event.error)}`;
  }
}

function namesOf(tensors: readonly string[], all: boolean): string {
  if (all) return tensors.join(", ");
  const [first = "", ...others] = tensors;
  return others.length === 0 ? first : `${first} and ${formatInteger(others.length)} more`;
}

function messageOf(error: unknown): string {
  const { code, message } = errorRecord(error);
  return `${String(message)} (${String(code)})`;
}
