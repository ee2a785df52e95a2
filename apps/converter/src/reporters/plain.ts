import type { EvaluatedEvent } from "@quern/publishing";
import { formatBytes } from "../format/bytes.ts";
import { formatInteger } from "../format/number.ts";
import { printable } from "../format/printable.ts";
import type { OutputStream } from "../host.ts";
import type { Measure } from "./measure.ts";
import { Progress } from "./progress.ts";
import { queueNotice } from "./queue-notice.ts";
import type { Reporter, WorkEvent } from "./reporter.ts";
import { WaitLines } from "./wait-lines.ts";

/** A line at each tenth of the work, and at least this often in between. */
const lineMilliseconds = 30_000;

/** Whole lines for logs: few enough to read, often enough to see that it lives. */
export class PlainReporter implements Reporter {
  private readonly stream: OutputStream;
  private readonly activity: string;
  private readonly now: () => number;
  private readonly steps: boolean;
  private readonly progress: Progress;
  private readonly waits: WaitLines;
  private lastLine: number;
  private lastTenth = 0;

  constructor(params: {
    readonly stream: OutputStream;
    /** "converting" */
    readonly activity: string;
    readonly measure: Measure;
    readonly now: () => number;
    /** Whether every tensor, every block and every wait for a server has a line. Default: no. */
    readonly steps?: boolean;
  }) {
    this.stream = params.stream;
    this.activity = params.activity;
    this.now = params.now;
    this.steps = params.steps === true;
    this.lastLine = params.now();
    this.waits = new WaitLines({ stream: params.stream, now: params.now, all: this.steps });
    this.progress = new Progress({ measure: params.measure, startTime: this.lastLine });
  }

  onEvent(event: WorkEvent): void {
    const time = this.now();
    this.progress.update(event, time);
    switch (event.type) {
      case "start":
        this.line(`${this.activity} ${describeWork(event)}`);
        break;
      case "resume":
        this.line(
          `going on: ${formatInteger(event.tensors)} tensors are complete${event.redone > 0 ? `, ${formatInteger(event.redone)} are done again` : ""}`,
        );
        break;
      case "progress":
        this.reportProgress(time);
        break;
      case "tensor:done":
        if (this.steps) this.line(`done ${event.name}`);
        break;
      case "block:done":
        if (this.steps) this.line(`done block ${event.block + 1}`);
        break;
      case "item:make":
        this.line(`making ${event.items.join(", ")}`);
        break;
      case "item:evaluate":
        this.line(`evaluating ${event.item}`);
        break;
      case "item:evaluated":
        this.line(describeFigures(event));
        break;
      case "item:upload":
        this.line(`uploading ${describeFiles(event.files)} (${formatBytes(event.bytes)})`);
        break;
      case "item:published":
        this.line(`published ${describeFiles(event.files)}`);
        break;
      case "item:deleted":
        this.line(`removed ${describeFiles(event.files)} from this machine`);
        break;
      case "output:done":
        this.line(`wrote ${describeFiles(event.files)} (${formatBytes(event.bytes)})`);
        break;
      case "network:wait":
        this.waits.onEvent(event);
        break;
      default: {
        const notice = queueNotice(event);
        if (notice !== undefined) this.line(notice);
      }
    }
  }

  close(): void {
    // Every line is complete as it is written.
  }

  private reportProgress(time: number): void {
    const tenth = Math.floor(this.progress.fraction * 10);
    if (tenth === this.lastTenth && time - this.lastLine < lineMilliseconds) {
      return;
    }
    this.lastTenth = tenth;
    this.lastLine = time;
    const { percent, amount, rate, timeLeft, place } = this.progress;
    this.line([percent.padStart(6), amount, rate, timeLeft, place].filter((part) => part !== "").join("  "));
  }

  private line(text: string): void {
    this.stream.write(`${printable(text)}\n`);
  }
}

function describeWork(event: Extract<WorkEvent, { type: "start" }>): string {
  return "tensors" in event
    ? `${formatInteger(event.tensors)} tensors`
    : `${formatInteger(event.tokens)} tokens`;
}

function describeFigures({ item, figures }: EvaluatedEvent): string {
  const { divergence, perplexity } = figures;
  const parts = [
    ...(divergence === undefined ? [] : [`KL divergence ${divergence.toPrecision(3)}`]),
    ...(perplexity === undefined ? [] : [`perplexity ${perplexity.toPrecision(5)}`]),
  ];
  return `evaluated ${item}: ${parts.join(", ")}`;
}

function describeFiles([first = "", ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first} and ${formatInteger(others.length)} more`;
}
