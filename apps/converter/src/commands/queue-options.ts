import { type Command, InvalidArgumentError } from "commander";

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
      "folder that all machines share, wherever it is on each: files below it are found below the root of every worker, and workers touch nothing else (default: paths are the same everywhere)",
    )
    .option(
      "--lease <seconds>",
      "after how many seconds without a sign of life the work of this machine is given to others",
      secondsArgument,
      DEFAULT_LEASE,
    );
}

/** A number of seconds above 0. */
export function secondsArgument(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && seconds > 0 && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError("Write a number of seconds.");
}
