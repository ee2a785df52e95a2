import type { HttpFields } from "./http-send.ts";

/** Failure that may pass: trying again makes sense. The error to throw when it does not pass is `error`. */
export class TransientFailure extends Error {
  readonly error: Error;
  /** What went wrong, in a few words without addresses: "429 Too Many Requests". */
  readonly reason: string;
  /** What the server asked to wait, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(error: Error, reason: string, retryAfter?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/** Longest wait of our own between two attempts in milliseconds. */
const MAX_WAIT = 30_000;

/** Longest wait that a server may ask for: the Hub counts requests in windows of 5 minutes. */
const MAX_WAIT_ASKED = 300_000;

/** Longest that is waited all together without getting any further. */
const MAX_PATIENCE = 900_000;

export interface RetryPolicy {
  /** Attempts after the first. */
  readonly retries: number;
  /** Wait before the first retry in milliseconds, doubled for each further one; up to half of it is left out at random. */
  readonly retryDelay: number;
  readonly signal: AbortSignal | undefined;
  /** Called before each wait. */
  readonly onWait?: ((wait: RetryWait) => void) | undefined;
}

/** An attempt has failed, and another will be made. */
export interface RetryWait {
  /** What went wrong, in a few words without addresses: "429 Too Many Requests". */
  readonly reason: string;
  /** Number of the attempt that comes: 2 after the first. */
  readonly attempt: number;
  /** How many are made before it counts as failed. */
  readonly attempts: number;
  /** Until the next attempt. */
  readonly seconds: number;
  /** That have passed since the first of these attempts began, or got any further. */
  readonly elapsed: number;
}

/**
 * Runs `attempt` until it succeeds, fails for good (anything but a {@link TransientFailure}), or has used up its retries.
 *
 * @param attempt Calls `progress` when it got further than before, which gives it all its retries again.
 * @throws What `attempt` throws, or the reason of the signal.
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  attempt: (progress: () => void) => Promise<T>,
): Promise<T> {
  let failures = 0;
  let waited = 0;
  let begun = performance.now();
  const progress = (): void => {
    failures = 0;
    waited = 0;
    begun = performance.now();
  };
  for (;;) {
    try {
      return await attempt(progress);
    } catch (failure) {
      if (!(failure instanceof TransientFailure)) throw failure;
      const wait = waitBefore(failure, ++failures, policy.retryDelay);
      waited += wait;
      if (failures > policy.retries || waited > MAX_PATIENCE) throw failure.error;
      policy.onWait?.({
        reason: failure.reason,
        attempt: failures + 1,
        attempts: policy.retries + 1,
        seconds: wait / 1000,
        elapsed: (performance.now() - begun) / 1000,
      });
      await sleep(wait, policy.signal);
    }
  }
}

/** Not all that failed together try again together. */
function waitBefore({ retryAfter }: TransientFailure, failures: number, delay: number): number {
  if (retryAfter !== undefined) return Math.min(retryAfter, MAX_WAIT_ASKED) * (1 + Math.random() / 10);
  return Math.min(delay * 2 ** (failures - 1), MAX_WAIT) * (1 - Math.random() / 2);
}

/**
 * What `Retry-After` asks for (RFC 9110, section 10.2.3): seconds or a date.
 *
 * @returns milliseconds from now; undefined without the header or when it means nothing
 */
export function retryAfterOf(headers: HttpFields): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(wait, 0);
}

/** "429 Too Many Requests" */
export function statusLine({ status, statusText }: { status: number; statusText: string }): string {
  return `${status} ${statusText}`.trimEnd();
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
