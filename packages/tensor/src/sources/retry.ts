/** Failure that may pass: trying again makes sense. The error to throw when it does not pass is `error`. */
export class TransientFailure extends Error {
  readonly error: Error;
  /** What the server asked to wait, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(error: Error, retryAfter?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.retryAfter = retryAfter;
  }
}

/** Longest wait between two attempts in milliseconds, whatever a server asks for. */
const MAX_WAIT = 30_000;

export interface RetryPolicy {
  /** Attempts after the first. */
  readonly retries: number;
  /** Wait before the first retry in milliseconds; doubled for each further one. */
  readonly retryDelay: number;
  readonly signal: AbortSignal | undefined;
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
  for (;;) {
    try {
      return await attempt(() => (failures = 0));
    } catch (failure) {
      if (!(failure instanceof TransientFailure)) throw failure;
      if (++failures > policy.retries) throw failure.error;
      const wait = failure.retryAfter ?? policy.retryDelay * 2 ** (failures - 1);
      await sleep(Math.min(wait, MAX_WAIT), policy.signal);
    }
  }
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
