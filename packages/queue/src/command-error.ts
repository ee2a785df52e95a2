import { QuernError } from "@quern/tensor";
import type { QueueConnection } from "./connection.ts";

/** What Redis has answered to a command, as an error with a code: memory that is full, a replica, rights that are missing; others as they are. */
export function asQueueError({ name }: QueueConnection, error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== "ReplyError") return error;
  // What the command was stays out of it.
  return new QuernError("QUEUE_COMMAND_FAILED", `${name}: Redis has refused a command: ${error.message}`);
}
