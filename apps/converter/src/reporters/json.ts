import type { OutputStream } from "../host.ts";
import type { Reporter, WorkEvent } from "./reporter.ts";

/** Slabs can finish by the thousand; a program that watches needs no more than this. */
const progressMilliseconds = 100;

/** One JSON object per line. The end of the work is left to the `result` line, which its caller writes. */
export class JsonReporter implements Reporter {
  private readonly stream: OutputStream;
  private readonly now: () => number;
  private lastProgress = Number.NEGATIVE_INFINITY;

  constructor(params: { readonly stream: OutputStream; readonly now: () => number }) {
    this.stream = params.stream;
    this.now = params.now;
  }

  onEvent(event: WorkEvent): void {
    if (event.type === "done") {
      return;
    }
    if (event.type === "progress" && event.done < event.total) {
      const time = this.now();
      if (time - this.lastProgress < progressMilliseconds) {
        return;
      }
      this.lastProgress = time;
    }
    writeJsonLine(this.stream, event);
  }

  close(): void {
    // Every line is complete as it is written.
  }
}

/** Writes a value as one line of JSON. */
export function writeJsonLine(stream: OutputStream, value: unknown): void {
  stream.write(`${JSON.stringify(value)}\n`);
}
