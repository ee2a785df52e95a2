import { QuernError } from "@quern/tensor";
import { type Command, InvalidArgumentError } from "commander";
import type { QueuedOptions } from "./by-queue.ts";
import type { ConvertByQueue, QueuedConversionParams } from "./convert-by-queue.ts";
import type { QueuedCheckpointParams, WriteByQueue } from "./write-by-queue.ts";

/** How addresses of queues are written, for help. They are not looked at by commander, which would print one that is wrong, password and all. */
export const QUEUE_ADDRESS = "redis://[user:password@]host[:port][/database], or rediss:// for TLS";

/** What commander makes of the options that {@link addQueueOptions} declares. */
export interface QueueOptions {
  /** As the user gave it. */
  readonly root?: string;
  /** Seconds. */
  readonly lease: number;
}

/** Seconds without a sign of life after which a machine's work is given to others. */
const DEFAULT_LEASE = 30;

/** Declares what machines that work together have to agree on. */
export function addQueueOptions(command: Command): Command {
  return command
    .option(
      "--root <folder>",
      "folder shared by all machines, at whatever path each of them has it: files are named relative to it, and workers touch nothing outside it (default: paths are the same on all machines)",
    )
    .option(
      "--lease <seconds>",
      "seconds of silence after which this machine's work is given to others",
      secondsArgument,
      DEFAULT_LEASE,
    );
}

/** Declares how a command leaves work to other machines. */
export function addQueuedOptions(command: Command): Command {
  return addQueueOptions(
    command
      .optionsGroup("Several machines:")
      .option(
        "--queue <address>",
        `convert with the help of quern workers, through the Redis at ${QUEUE_ADDRESS}`,
      )
      .option("--no-work", "leave all the work to the workers"),
  );
}

/** What is asked for, with or without a queue. */
type Unqueued<Params extends { readonly options: object }> = Omit<Params, "options"> & {
  readonly options: Partial<Params["options"]>;
};

/**
 * What `--queue` changes about GGUF files.
 *
 * @returns undefined without it
 * @throws QuernError `USAGE_QUEUE`, and the codes of `convertByQueue`
 */
export async function queuedConversion(
  params: Unqueued<QueuedConversionParams>,
): Promise<ConvertByQueue | undefined> {
  if (!asksForQueue(params.options)) return undefined;
  const { convertByQueue } = await import("./convert-by-queue.ts");
  return convertByQueue(params as QueuedConversionParams);
}

/**
 * What `--queue` changes about quantized checkpoints.
 *
 * @returns undefined without it
 * @throws QuernError `USAGE_QUEUE`, and the codes of `writeByQueue`
 */
export async function queuedCheckpoint(
  params: Unqueued<QueuedCheckpointParams>,
): Promise<WriteByQueue | undefined> {
  if (!asksForQueue(params.options)) return undefined;
  const { writeByQueue } = await import("./write-by-queue.ts");
  return writeByQueue(params as QueuedCheckpointParams);
}

/** @throws QuernError `USAGE_QUEUE` for options of a queue that is not asked for */
function asksForQueue({ queue, root, work }: Partial<QueuedOptions>): boolean {
  if (queue !== undefined) return true;
  const stray = root === undefined ? (work === false ? "--no-work" : undefined) : "--root";
  if (stray === undefined) return false;
  throw new QuernError("USAGE_QUEUE", `${stray} is for --queue: expected it, too.`);
}

/** A number of seconds above 0. */
export function secondsArgument(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && seconds > 0 && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError("Write a number of seconds.");
}
