import type { NetworkWaitEvent } from "@quern/hub";
import { formatDuration } from "../format/duration.ts";
import { describeCountdown, isLongWait } from "../format/network-wait.ts";
import { formatPercent } from "../format/number.ts";
import type { Measure } from "./measure.ts";
import { RateEstimator } from "./rate.ts";
import type { WorkEvent } from "./reporter.ts";

/** The state of the work, as far as people want to see it. */
export class Progress {
  /** What was worked on last: a tensor, a block. */
  place = "";
  private done = 0;
  private total = 0;
  private readonly measure: Measure;
  private estimator: RateEstimator;
  private time: number;
  /** The wait that ends last. */
  private wait: { readonly event: NetworkWaitEvent; readonly end: number } | undefined;

  constructor(params: { readonly measure: Measure; readonly startTime: number }) {
    this.measure = params.measure;
    this.estimator = new RateEstimator(params.startTime);
    this.time = params.startTime;
  }

  update(event: WorkEvent, time: number): void {
    this.time = time;
    if (event.type === "tensor:start") {
      this.place = event.name;
    } else if (event.type === "resume") {
      this.done = event.done;
      this.total = event.total;
      this.estimator = new RateEstimator(time, event.done);
    } else if (event.type === "progress") {
      this.advance(event, time);
    } else if (event.type === "network:wait" && isLongWait(event)) {
      const end = time + event.seconds * 1000;
      if (this.wait === undefined || this.wait.end < end) this.wait = { event, end };
    }
  }

  /** Lets time pass without news, so that rate and time left stay honest while nothing moves. */
  tick(time: number): void {
    this.time = time;
    this.estimator.record(time, this.done);
  }

  /** From 0 to 1. */
  get fraction(): number {
    return this.total === 0 ? 0 : this.done / this.total;
  }

  get percent(): string {
    return this.total === 0 ? "0.0%" : formatPercent(this.done, this.total);
  }

  /** "1.20 GB of 16.1 GB" */
  get amount(): string {
    const { total, format, unit } = this.measure;
    return `${format(this.fraction * total)} of ${format(total)}${unit}`;
  }

  /** "310 MB/s", empty as long as it would be a guess. */
  get rate(): string {
    const rate = this.estimator.rate();
    const { total, format, unit } = this.measure;
    return rate === undefined ? "" : `${format((rate / this.total) * total)}${unit}/s`;
  }

  /** "ETA 48 s", empty as long as it would be a guess; at the end what is still going on. */
  get timeLeft(): string {
    if (this.total > 0 && this.done === this.total) {
      return "finishing";
    }
    const left = this.estimator.millisecondsFor(this.total - this.done);
    // Tenths of a second would flicker; an estimate is not that good anyway.
    return left === undefined ? "" : `ETA ${formatDuration(Math.ceil(left / 1000) * 1000)}`;
  }

  /** What a server is waited for, until something comes after it; empty most of the time. */
  get waiting(): string {
    return this.wait === undefined ? "" : describeCountdown(this.wait.event, this.wait.end - this.time);
  }

  private advance(event: Extract<WorkEvent, { type: "progress" }>, time: number): void {
    if (this.wait !== undefined && this.wait.end <= time) this.wait = undefined;
    this.place = "tensor" in event ? event.tensor : event.place;
    this.done = event.done;
    this.total = event.total;
    this.estimator.record(time, event.done);
  }
}
