import { printable, shortenMiddle } from "../format/printable.ts";
import type { Style } from "../format/style.ts";
import type { OutputStream } from "../host.ts";
import type { Measure } from "./measure.ts";
import { Progress } from "./progress.ts";
import { queueNotice } from "./queue-notice.ts";
import type { Reporter, WorkEvent } from "./reporter.ts";

const drawMilliseconds = 100;
const eraseLine = "\r\u001b[2K";
const gap = "  ";
const longestBar = 30;
/** Columns below which there is no bar. */
const narrowest = 50;
/** Below this a name says nothing any more. */
const shortestName = 8;

/** One line on a terminal that is drawn over and over: share done, bar, amount, rate, time left, current place. */
export class TtyReporter implements Reporter {
  private readonly stream: OutputStream;
  private readonly style: Style;
  private readonly now: () => number;
  private readonly progress: Progress;
  private readonly timer: NodeJS.Timeout;
  private lastDraw = Number.NEGATIVE_INFINITY;
  private visible = false;

  constructor(params: {
    readonly stream: OutputStream;
    readonly measure: Measure;
    readonly style: Style;
    readonly now: () => number;
  }) {
    this.stream = params.stream;
    this.style = params.style;
    this.now = params.now;
    this.progress = new Progress({ measure: params.measure, startTime: params.now() });
    this.timer = setInterval(() => this.tick(), 1000);
    this.timer.unref();
  }

  onEvent(event: WorkEvent): void {
    const time = this.now();
    this.progress.update(event, time);
    const notice = queueNotice(event);
    if (notice !== undefined) this.stream.write(`${eraseLine}${printable(notice)}\n`);
    if (notice !== undefined || time - this.lastDraw >= drawMilliseconds) {
      this.draw(time);
    }
  }

  close(): void {
    clearInterval(this.timer);
    if (this.visible) {
      this.stream.write(eraseLine);
      this.visible = false;
    }
  }

  private tick(): void {
    const time = this.now();
    this.progress.tick(time);
    this.draw(time);
  }

  private draw(time: number): void {
    this.lastDraw = time;
    this.visible = true;
    // The last column stays free: writing there makes some terminals wrap.
    this.stream.write(
      `${eraseLine}${progressLine(this.progress, (this.stream.columns || 80) - 1, this.style)}`,
    );
  }
}

/** The line in at most `width` columns; what does not fit is left out, the least important first. */
export function progressLine(progress: Progress, width: number, style: Style): string {
  const { percent, amount, rate, timeLeft, place, waiting } = progress;
  const barWidth = width < narrowest ? 0 : Math.min(longestBar, Math.floor(width / 4));
  const share = percent.padStart(6);
  // Nobody knows how fast it goes while a server is waited for.
  const facts = waiting === "" ? [amount, rate, timeLeft].filter((part) => part !== "") : [];
  const last = waiting === "" ? place : waiting;
  let room = width - share.length - (barWidth === 0 ? 0 : barWidth + gap.length);
  while (facts.length > 0 && gap.length + facts.join(gap).length > room) {
    facts.pop();
  }
  room -= facts.reduce((length, fact) => length + gap.length + fact.length, 0) + gap.length;
  return [
    style.bold(share),
    ...(barWidth === 0 ? [] : [drawBar(progress.fraction, barWidth, style)]),
    ...facts,
    ...(room >= shortestName ? [style.dim(shortenMiddle(printable(last), room))] : []),
  ].join(gap);
}

function drawBar(fraction: number, width: number, style: Style): string {
  const filled = Math.floor(fraction * width);
  return style.cyan("━".repeat(filled)) + style.dim("─".repeat(width - filled));
}
