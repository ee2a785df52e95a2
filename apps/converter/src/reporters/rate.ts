/** How far back the window looks. Long enough to smooth over one slow tensor, short enough to notice a change of pace. */
const windowMilliseconds = 20_000;
/** Samples nearer together than this replace each other, so that the window stays small at any event rate. */
const sampleMilliseconds = 250;
/** No rate is better than one from the first moments, when caches fill and workers start. */
const warmUpMilliseconds = 1000;

/** Rate and time left from a sliding window over a counter that only grows. */
export class RateEstimator {
  private readonly samples: Array<{ time: number; done: number }>;

  /**
   * @param startTime in milliseconds, from any clock that the other calls use too
   * @param done units that were finished before
   */
  constructor(startTime: number, done = 0) {
    this.samples = [{ time: startTime, done }];
  }

  /** Records that `done` units are finished at `time`. */
  record(time: number, done: number): void {
    const { samples } = this;
    const previous = samples.at(-2);
    if (previous !== undefined && time - previous.time < sampleMilliseconds) {
      samples.pop();
    }
    samples.push({ time, done });
    while (samples.length > 2 && time - samples[1]!.time >= windowMilliseconds) {
      samples.shift();
    }
  }

  /** Units per second over the window, or undefined as long as that would be a guess. */
  rate(): number | undefined {
    const first = this.samples[0]!;
    const last = this.samples.at(-1)!;
    const elapsed = last.time - first.time;
    if (elapsed < warmUpMilliseconds || last.done <= first.done) {
      return undefined;
    }
    return ((last.done - first.done) / elapsed) * 1000;
  }

  /** Milliseconds until `remaining` more units are done, or undefined as long as that would be a guess. */
  millisecondsFor(remaining: number): number | undefined {
    const rate = this.rate();
    return rate === undefined ? undefined : (remaining / rate) * 1000;
  }
}
