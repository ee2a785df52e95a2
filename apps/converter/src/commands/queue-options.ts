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
      "folder shared by all machines, at whatever path each of them has it: files are named relative to it, and workers touch nothing outside it (default: paths are the same on all machines)",
    )
    .option(
      "--lease <seconds>",
      "seconds of silence after which this machine's work is given to others",
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
