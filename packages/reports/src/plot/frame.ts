import { html, type Html, type HtmlPart } from "../html/html.ts";
import type { Scale } from "./scale.ts";

/** Where a plot is in its picture, in pixels. */
export interface PlotArea {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A picture that says to those who cannot see it what it shows. @param params.id Of its title, in the page. */
export function picture(params: {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly body: HtmlPart;
}): Html {
  const { id, title, description, width, height, body } = params;
  return html`<div class="plot">
    <svg
      viewBox="0 0 ${width} ${height}"
      width="${width}"
      height="${height}"
      role="img"
      aria-labelledby="${id}-title ${id}-text"
    >
      <title id="${id}-title">${title}</title>
      <desc id="${id}-text">${description}</desc>
      ${body}
    </svg>
  </div>`;
}

/** Axis to the left, with lines across the plot. */
export function yAxis(params: {
  readonly area: PlotArea;
  readonly scale: Scale;
  readonly label: string;
  readonly format: (value: number) => string;
}): Html {
  const { area, scale, label, format } = params;
  const lines = scale.ticks.map((tick) => {
    const y = pixels(scale.at(tick));
    return html`<line class="grid" x1="${area.left}" x2="${area.right}" y1="${y}" y2="${y}" /><text
        class="tick"
        x="${area.left - 8}"
        y="${y}"
        dy="0.32em"
        text-anchor="end"
        >${format(tick)}</text
      >`;
  });
  return html`${lines}<text class="label" x="${area.left}" y="${area.top - 12}">${label}</text>`;
}

/** Axis below, with short marks. */
export function xAxis(params: {
  readonly area: PlotArea;
  readonly scale: Scale;
  readonly label: string;
  readonly format: (value: number) => string;
}): Html {
  const { area, scale, label, format } = params;
  const marks = scale.ticks.map((tick) => {
    const x = pixels(scale.at(tick));
    return html`<line class="axis" x1="${x}" x2="${x}" y1="${area.bottom}" y2="${area.bottom + 5}" /><text
        class="tick"
        x="${x}"
        y="${area.bottom + 18}"
        text-anchor="middle"
        >${format(tick)}</text
      >`;
  });
  return html`<line
      class="axis"
      x1="${area.left}"
      x2="${area.right}"
      y1="${area.bottom}"
      y2="${area.bottom}"
    />${marks}<text
      class="label"
      x="${(area.left + area.right) / 2}"
      y="${area.bottom + 40}"
      text-anchor="middle"
      >${label}</text
    >`;
}

/** Names of series in a row above the plot. @param params.series In the order of their colours. */
export function legend(params: { readonly area: PlotArea; readonly series: readonly string[] }): Html {
  let x = params.area.right;
  const entries = params.series.toReversed().map((name, index) => {
    const colour = seriesClass(params.series.length - 1 - index);
    x -= 7.8 * Array.from(name).length + 32;
    return html`<rect
        class="${colour}"
        x="${pixels(x)}"
        y="${params.area.top - 22}"
        width="11"
        height="11"
        rx="3"
      /><text class="key" x="${pixels(x + 17)}" y="${params.area.top - 12}">${name}</text>`;
  });
  return html`${entries}`;
}

/** Colours of series; they begin again after the last. */
export function seriesClass(index: number): string {
  return `s${index % 8}`;
}

/** Places in pictures need no more than two digits. */
export function pixels(value: number): string {
  return String(Number(value.toFixed(2)));
}
