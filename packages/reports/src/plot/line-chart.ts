import { html, type Html } from "../html/html.ts";
import { legend, picture, pixels, type PlotArea, seriesClass, xAxis, yAxis } from "./frame.ts";
import { extentOf, linearScale, logScale } from "./scale.ts";

export interface LineSeries {
  readonly name: string;
  /** By x, which rises; y is above 0. */
  readonly points: readonly { readonly x: number; readonly y: number; readonly title: string }[];
}

const AREA: PlotArea = { width: 960, height: 340, left: 76, right: 940, top: 44, bottom: 284 };

/** Lines over whole numbers, on a logarithmic scale. */
export function lineChart(params: {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly series: readonly LineSeries[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly yFormat: (value: number) => string;
}): Html {
  const { series, xLabel, yLabel, yFormat, ...text } = params;
  const points = series.flatMap((line) => line.points);
  const across = linearScale({
    domain: extentOf(points.map((point) => point.x)),
    range: [AREA.left + 12, AREA.right - 12],
    count: 12,
  });
  // Half a step between layers is no place.
  const x = { ...across, ticks: across.ticks.filter((tick) => Number.isInteger(tick)) };
  const y = logScale({ domain: extentOf(points.map((point) => point.y)), range: [AREA.bottom, AREA.top] });
  const lines = series.map(({ name, points: line }, index) => {
    const colour = seriesClass(index);
    const path = line.map((point) => `${pixels(x.at(point.x))},${pixels(y.at(point.y))}`).join(" ");
    const dots = line.map(
      (point) =>
        html`<circle class="${colour} dot" cx="${pixels(x.at(point.x))}" cy="${pixels(y.at(point.y))}" r="3.5"
          ><title>${name}, ${point.title}</title></circle
        >`,
    );
    return html`<polyline class="${colour} line" points="${path}" />${dots}`;
  });
  return picture({
    ...text,
    width: AREA.width,
    height: AREA.height,
    body: [
      yAxis({ area: AREA, scale: y, label: yLabel, format: yFormat }),
      xAxis({ area: AREA, scale: x, label: xLabel, format: String }),
      legend({ area: AREA, series: series.map(({ name }) => name) }),
      lines,
    ],
  });
}
