/** Fewest bytes that count as progress in an interval: servers that keep a connection alive with single bytes have stalled. */
const LEAST_BYTES = 16 * 1024;

/** Gives up a request when too little comes: its signal is aborted then, or with the one given. */
export class StallWatch {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #abort: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #received = 0;

  /** @param params.timeout Length of an interval in milliseconds; the answer's header must come within one, too. */
  constructor(params: { timeout: number; signal: AbortSignal | undefined }) {
    const { timeout, signal } = params;
    this.#outer = signal;
    this.#abort = () => this.#controller.abort(signal?.reason);
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort, { once: true });
    this.#timer = setInterval(() => {
      if (this.#received < LEAST_BYTES) {
        const least = `${LEAST_BYTES / 1024} KiB`;
        this.#controller.abort(new Error(`less than ${least} came in ${timeout / 1000} s`));
      }
      this.#received = 0;
    }, timeout);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  received(count: number): void {
    this.#received += count;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#outer?.removeEventListener("abort", this.#abort);
  }
}
