import { QuernError } from "@quern/tensor";
import type { Redis } from "ioredis";
import { newClient, RETRY_DELAY } from "./new-client.ts";
import { probe } from "./probe.ts";
import { quietClient } from "./quiet-client.ts";
import type { QueueAddress } from "./queue-address.ts";

/** Milliseconds. */
export interface QueuePatience {
  /** Until a Redis that does not answer is given up when it is needed first. @default 10000 */
  readonly connect?: number;
  /** Until one is given up that answered before. @default 120000 */
  readonly outage?: number;
  /** Without an answer until a connection is taken for dead, and made anew; above what commands wait for jobs. @default 30000 */
  readonly silence?: number;
}

/** Clients of one Redis; they connect again by themselves. */
export interface QueueConnection {
  /** That of the address. */
  readonly name: string;
  readonly redis: Redis;
  /** A client of its own, such as BullMQ wants, until it is disconnected. */
  another(): Redis;
  /** Aborts with `QUEUE_LOST` when Redis has been away for too long. */
  readonly lost: AbortSignal;
  /** Leaves Redis. */
  close(): void;
}

/**
 * Connects to Redis.
 *
 * @throws QuernError `QUEUE_UNREACHABLE` when it has not answered for as long as patience lasts, `QUEUE_CERTIFICATE` when it is not known to be
 * the one that it says, `QUEUE_REFUSED` when it does not let us in, `QUEUE_UNSUITABLE` when it cannot hold a queue, the reason of `signal`
 */
export async function connectQueue(params: {
  readonly address: QueueAddress;
  readonly patience?: QueuePatience;
  readonly signal?: AbortSignal;
}): Promise<QueueConnection> {
  const { address, patience = {}, signal } = params;
  const { connect = 10_000, outage = 120_000, silence = 30_000 } = patience;
  quietClient();
  await probe(address, { patience: connect, ...(signal && { signal }) });

  const lost = new AbortController();
  const clients = new Set<Redis>();
  const another = (): Redis => {
    const client = newClient(address, {
      maxRetriesPerRequest: null,
      retryStrategy: (times) => Math.min(times * RETRY_DELAY, 2000),
      // Machines that are switched off close no connections.
      socketTimeout: silence,
    });
    clients.add(client);
    client.once("end", () => clients.delete(client));
    return client;
  };
  const redis = another();
  let away: NodeJS.Timeout | undefined;
  let closed = false;
  redis.on("close", () => {
    if (closed) return;
    away ??= setTimeout(() => {
      const seconds = Math.round(outage / 1000);
      lost.abort(new QuernError("QUEUE_LOST", `${address.name}: Redis has not answered for ${seconds} s`));
    }, outage);
  });
  redis.on("ready", () => {
    clearTimeout(away);
    away = undefined;
  });
  return {
    name: address.name,
    redis,
    another,
    lost: lost.signal,
    close() {
      closed = true;
      for (const client of clients) client.disconnect();
      clearTimeout(away);
    },
  };
}
