import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/tensor";
import type { Redis } from "ioredis";
import { newClient, RETRY_DELAY } from "./new-client.ts";
import type { QueueAddress } from "./queue-address.ts";

/** What Redis says to those that it does not let in. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR (AUTH|Client sent AUTH|invalid password|DB index))/;

/** What Node calls certificates that do not hold: X509_V_ERR_* of OpenSSL without the prefix, and its own of names. */
const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET|VERIFY|DECRYPT)_|HOSTNAME_MISMATCH)/;

/** How it looks when one side speaks TLS, and the other does not. */
const MIXED = /wrong version number|ETIMEDOUT|ECONNRESET/;

/** The first with SET ... GET. */
const OLDEST = [6, 2] as const;

/** What is the matter with a Redis. */
interface Problem {
  /** In words; may hold secrets. */
  readonly text: string;
  /** Of errors of the system and of TLS. */
  readonly code?: string | undefined;
}

/**
 * Connects to a Redis once, to see whether that is possible and whether it can hold a queue.
 *
 * @throws QuernError as `connectQueue`
 */
export async function probe(
  address: QueueAddress,
  { patience, signal }: { readonly patience: number; readonly signal?: AbortSignal },
): Promise<void> {
  const end = Date.now() + patience;
  for (;;) {
    const problem = await tryOnce(address, Math.max(end - Date.now(), RETRY_DELAY));
    if (problem === undefined) return;
    const message = address.withoutSecrets(problem.text);
    if (REFUSED.test(problem.text)) {
      throw new QuernError("QUEUE_REFUSED", `${address.name}: Redis does not let us in: ${message}`);
    }
    if (CERTIFICATE.test(problem.code ?? "")) {
      throw new QuernError(
        "QUEUE_CERTIFICATE",
        `${address.name}: its certificate is not one to trust: ${message}; expected one for this name, by an authority that Node knows or that is in the file of NODE_EXTRA_CA_CERTS`,
      );
    }
    if (Date.now() + RETRY_DELAY >= end) {
      throw new QuernError(
        "QUEUE_UNREACHABLE",
        `${address.name}: Redis does not answer: ${message}${MIXED.test(message) ? "; rediss:// is for those with TLS, redis:// for those without" : ""}`,
      );
    }
    await sleep(RETRY_DELAY, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function tryOnce(address: QueueAddress, milliseconds: number): Promise<Problem | undefined> {
  const client = newClient(address, {
    lazyConnect: true,
    connectTimeout: milliseconds,
    commandTimeout: milliseconds,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let problem: Problem | undefined;
  client.on("error", (error: NodeJS.ErrnoException) => (problem = { text: error.message, code: error.code }));
  try {
    await client.connect();
    await client.ping();
    await checkSuitable(client, address);
    return undefined;
  } catch (error) {
    if (error instanceof QuernError) throw error;
    return problem ?? { text: (error as Error).message };
  } finally {
    client.disconnect();
  }
}

/** @throws QuernError `QUEUE_UNSUITABLE` for a Redis that is too old, or forgets jobs when its memory is full */
async function checkSuitable(client: Redis, { name }: QueueAddress): Promise<void> {
  const info = await client.info();
  const fact = (key: string): string | undefined => new RegExp(`^${key}:(.*?)\\r?$`, "m").exec(info)?.[1];
  const version = fact("redis_version") ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw unsuitable(name, `it is Redis ${version}; expected ${OLDEST.join(".")} or newer`);
  }
  const policy = fact("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction") {
    throw unsuitable(
      name,
      `it throws away jobs when its memory is full (maxmemory-policy ${policy}); expected noeviction`,
    );
  }
}

function unsuitable(name: string, problem: string): QuernError {
  return new QuernError("QUEUE_UNSUITABLE", `${name}: this Redis cannot hold a queue: ${problem}`);
}
