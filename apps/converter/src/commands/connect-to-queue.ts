import { hostname } from "node:os";
import { connectQueue, parseQueueAddress, type QueueConnection } from "@quern/queue";
import type { Host } from "../host.ts";

/** What this process is called among those that work for a queue. */
export const workerName: string = `${hostname()}-${process.pid}`;

/**
 * Connects to the queue of an option.
 *
 * @throws QuernError `QUEUE_ADDRESS_INVALID`, `QUEUE_UNREACHABLE`, `QUEUE_REFUSED`
 */
export function connectToQueue(text: string, { env }: Host, signal: AbortSignal): Promise<QueueConnection> {
  const address = parseQueueAddress(text, { password: env["QUERN_QUEUE_PASSWORD"] });
  return connectQueue({ address, signal });
}
