import { html, type Html } from "../html/html.ts";
import { picture, pixels, type PlotArea, xAxis, yAxis } from "./frame.ts";
import { linearScale, logScale } from "./scale.ts";

export interface HistogramMark {
  readonly value: number;
  readonly label: string;
}

const AREA: PlotArea = { width: 960, height: 340, left: 76, right: 940, top: 58, bottom: 284 };

/** Shares in bins of a logarithmic scale, and lines at some values. Empty bins at the ends are left out. */
export function histogramPlot(params: {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Above 0, rising: one more than shares. */
  readonly edges: readonly number[];
  /** 0..1 */
  readonly shares: readonly number[];
  readonly marks: readonly HistogramMark[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xFormat: (value: number) => string;
  readonly yFormat: (value: number) => string;
  /** What is said of a bin. */
  readonly barTitle: (low: number, high: number, share: number) => string;
}): Html {
  const { edges, shares, marks, xLabel, yLabel, xFormat, yFormat, barTitle, ...text } = params;
  const first = Math.max(
    shares.findIndex((share) => share > 0),
    0,
  );
  const last = Math.max(
    shares.findLastIndex((share) => share > 0),
    first,
  );
  const x = logScale({
    domain: [edges[first]!, edges[last + 1]!],
    range: [AREA.left, AREA.right],
    count: 10,
  });
  const most = shares.reduce((largest, share) => Math.max(largest, share), 0);
  const y = linearScale({ domain: [0, most], range: [AREA.bottom, AREA.top], count: 5 });
  const bars = shares.slice(first, last + 1).map((share, index) => {
    const [low, high] = [edges[first + index]!, edges[first + index + 1]!];
    const [left, right, top] = [x.at(low), x.at(high), y.at(share)];
    return html`<rect
      class="s0 bar"
      x="${pixels(left + 0.75)}"
      y="${pixels(top)}"
      width="${pixels(Math.max(right - left - 1.5, 0.5))}"
      height="${pixels(AREA.bottom - top)}"
      ><title>${barTitle(low, high, share)}</title></rect
    >`;
  });
  const lines = marks
    .filter(({ value }) => value >= edges[first]! && value <= edges[last + 1]!)
    .map(({ value, label }, index) => {
      const at = pixels(x.at(value));
      const top = AREA.top - 26 + (index % 2) * 14;
      return html`<line class="mark" x1="${at}" x2="${at}" y1="${top + 4}" y2="${AREA.bottom}" /><text
          class="key"
          x="${at}"
          y="${top}"
          text-anchor="middle"
          >${label}</text
        >`;
    });
  return picture({
    ...text,
    width: AREA.width,
    height: AREA.height,
    body: [
      yAxis({ area: { ...AREA, top: AREA.top - 28 }, scale: y, label: yLabel, format: yFormat }),
      bars,
      lines,
      xAxis({ area: AREA, scale: x, label: xLabel, format: xFormat }),
    ],
  });
}
