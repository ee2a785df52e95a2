import { Redis } from "ioredis";
import type { ClientOptions } from "./client-options.ts";
import type { QueueAddress } from "./queue-address.ts";

/** Milliseconds from one attempt to connect to the next. */
export const RETRY_DELAY = 250;

/** A client that says nothing by itself of what goes wrong. */
export function newClient(address: QueueAddress, options: ClientOptions): Redis {
  const client = new Redis({ ...address.clientOptions(), ...options });
  // Clients connect again by themselves; without a listener they would print their errors.
  client.on("error", () => undefined);
  return client;
}
