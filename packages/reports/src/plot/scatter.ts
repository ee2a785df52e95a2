import { html, type Html } from "../html/html.ts";
import { legend, picture, pixels, type PlotArea, seriesClass, xAxis, yAxis } from "./frame.ts";
import { placeLabels } from "./place-labels.ts";
import { extentOf, linearScale, logScale } from "./scale.ts";

export interface ScatterPoint {
  /** Position among the series. */
  readonly series: number;
  readonly x: number;
  /** Above 0. */
  readonly y: number;
  /** Pixels. */
  readonly radius: number;
  /** Beside it, if there is room. */
  readonly label: string;
  /** A sum of others: an outlined diamond. */
  readonly total?: boolean;
  readonly title: string;
}

const AREA: PlotArea = { width: 960, height: 420, left: 76, right: 940, top: 44, bottom: 364 };

/** Points on a linear and a logarithmic scale. */
export function scatterPlot(params: {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly series: readonly string[];
  readonly points: readonly ScatterPoint[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xFormat: (value: number) => string;
  readonly yFormat: (value: number) => string;
}): Html {
  const { series, points, xLabel, yLabel, xFormat, yFormat, ...text } = params;
  const [left, right] = extentOf(points.map((point) => point.x));
  const x = linearScale({
    domain: [Math.max(left - 0.5, 0), right + 0.5],
    range: [AREA.left, AREA.right],
    count: 10,
  });
  const y = logScale({ domain: extentOf(points.map((point) => point.y)), range: [AREA.bottom, AREA.top] });
  // Large ones first, so that no small one is hidden. Totals are named first, which are last.
  const marks = points
    .toSorted((a, b) => Number(a.total ?? false) - Number(b.total ?? false) || b.radius - a.radius)
    .map((point) => ({ point, left: x.at(point.x), top: y.at(point.y) }));
  const names = placeLabels(
    marks
      .toReversed()
      .map(({ point, left, top }) => ({ x: left, y: top, radius: point.radius, label: point.label })),
    { ...AREA, top: AREA.top - 14 },
  ).map(
    ({ label, x: left, y: top, anchor }) =>
      html`<text class="key" x="${pixels(left)}" y="${pixels(top)}" dy="0.32em" text-anchor="${anchor}"
        >${label}</text
      >`,
  );
  return picture({
    ...text,
    width: AREA.width,
    height: AREA.height,
    body: [
      yAxis({ area: AREA, scale: y, label: yLabel, format: yFormat }),
      xAxis({ area: AREA, scale: x, label: xLabel, format: xFormat }),
      legend({ area: AREA, series }),
      marks.map(({ point, left, top }) => markOf(point, left, top)),
      names,
    ],
  });
}

function markOf({ series, radius, total, title }: ScatterPoint, x: number, y: number): Html {
  const colour = seriesClass(series);
  const r = pixels(radius);
  return total === true
    ? html`<path
        class="${colour} total"
        d="M${pixels(x)} ${pixels(y - radius)}l${r} ${r}l-${r} ${r}l-${r} -${r}z"
        ><title>${title}</title></path
      >`
    : html`<circle class="${colour} bubble" cx="${pixels(x)}" cy="${pixels(y)}" r="${r}"
        ><title>${title}</title></circle
      >`;
}
