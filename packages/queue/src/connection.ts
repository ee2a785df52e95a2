import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/tensor";
import { Redis } from "ioredis";
import type { ClientOptions } from "./client-options.ts";
import { quietClient } from "./quiet-client.ts";
import type { QueueAddress } from "./queue-address.ts";

/** Milliseconds. */
export interface QueuePatience {
  /** Until a Redis that does not answer is given up when it is needed first. @default 10000 */
  readonly connect?: number;
  /** Until one is given up that answered before. @default 120000 */
  readonly outage?: number;
}

/** Clients of one Redis; they connect again by themselves. */
export interface QueueConnection {
  /** That of the address. */
  readonly name: string;
  readonly redis: Redis;
  /** A client of its own, such as BullMQ wants. */
  another(): Redis;
  /** Aborts with `QUEUE_LOST` when Redis has been away for too long. */
  readonly lost: AbortSignal;
  /** Leaves Redis. */
  close(): void;
}

const RETRY_DELAY = 250;

/** What Redis says to those that it does not let in. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR (AUTH|Client sent AUTH|invalid password|DB index))/;

/**
 * Connects to Redis.
 *
 * @throws QuernError `QUEUE_UNREACHABLE` when it has not answered for as long as patience lasts, `QUEUE_REFUSED` when it does not let us in,
 * the reason of `signal`
 */
export async function connectQueue(params: {
  readonly address: QueueAddress;
  readonly patience?: QueuePatience;
  readonly signal?: AbortSignal;
}): Promise<QueueConnection> {
  const { address, patience = {}, signal } = params;
  const { connect = 10_000, outage = 120_000 } = patience;
  quietClient();
  await probe(address, { patience: connect, ...(signal && { signal }) });

  const lost = new AbortController();
  const clients: Redis[] = [];
  const another = (): Redis => {
    const client = newClient(address, {
      maxRetriesPerRequest: null,
      retryStrategy: (times) => Math.min(times * RETRY_DELAY, 2000),
    });
    clients.push(client);
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

/** Connects once, to see whether that is possible. */
async function probe(
  address: QueueAddress,
  { patience, signal }: { readonly patience: number; readonly signal?: AbortSignal },
): Promise<void> {
  const end = Date.now() + patience;
  for (;;) {
    const problem = await tryOnce(address, Math.max(end - Date.now(), RETRY_DELAY));
    if (problem === undefined) return;
    const message = address.withoutSecrets(problem);
    if (REFUSED.test(problem)) {
      throw new QuernError("QUEUE_REFUSED", `${address.name}: Redis does not let us in: ${message}`);
    }
    if (Date.now() + RETRY_DELAY >= end) {
      throw new QuernError("QUEUE_UNREACHABLE", `${address.name}: Redis does not answer: ${message}`);
    }
    await sleep(RETRY_DELAY, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** @returns what is the matter */
async function tryOnce(address: QueueAddress, milliseconds: number): Promise<string | undefined> {
  const client = newClient(address, {
    lazyConnect: true,
    connectTimeout: milliseconds,
    commandTimeout: milliseconds,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let problem: string | undefined;
  client.on("error", (error: Error) => (problem = error.message));
  try {
    await client.connect();
    await client.ping();
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    return problem ?? message;
  } finally {
    client.disconnect();
  }
}

function newClient(address: QueueAddress, options: ClientOptions): Redis {
  const client = new Redis({ ...address.clientOptions(), ...options });
  // Clients connect again by themselves; without a listener they would print their errors.
  client.on("error", () => undefined);
  return client;
}
