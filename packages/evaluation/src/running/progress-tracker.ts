import type { EvaluationProgressEvent } from "../events.ts";

/** Adds up work of several kinds to one progress. */
export class ProgressTracker {
  readonly #total: number;
  readonly #onEvent: ((event: EvaluationProgressEvent) => void) | undefined;
  #before = 0;

  /** @param total Operations of all stages. */
  constructor(total: number, onEvent: ((event: EvaluationProgressEvent) => void) | undefined) {
    this.#total = total;
    this.#onEvent = onEvent;
  }

  /** @param done Operations of this stage that are done. */
  report(place: string, done: number): void {
    // Sums of shares may end a little beside the total.
    const all = Math.min(this.#before + done, this.#total);
    this.#onEvent?.({ type: "progress", place, done: all, total: this.#total });
  }

  /** @param operations Of the stage that has ended. */
  next(operations: number): void {
    this.#before += operations;
  }
}
