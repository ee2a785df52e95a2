import { html, type Html } from "../html/html.ts";
import { picture, pixels } from "./frame.ts";
import { type Scale, tightLogScale } from "./scale.ts";

export interface HeatMapCell {
  readonly row: number;
  readonly column: number;
  /** Above 0; undefined for a cell that has none to show, but a title. */
  readonly value: number | undefined;
  readonly title: string;
}

/** Shades from little to much, in the style sheet: q0 to q11. */
const SHADES = 12;

const WIDTH = 960;
const NARROWEST = 440;
const LEFT = 132;
const TOP = 66;
const ROW_HEIGHT = 24;
/** Room for a label of columns. */
const LABEL_WIDTH = 26;
const KEY_WIDTH = 264;

/** Cells in shades of a logarithmic scale. @param params.domain The ends of the scale, above 0, alike in maps to be compared. */
export function heatMap(params: {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly cells: readonly HeatMapCell[];
  readonly domain: readonly [number, number];
  readonly columnLabel: string;
  readonly keyLabel: string;
  readonly format: (value: number) => string;
}): Html {
  const { rows, columns, cells, domain, columnLabel, keyLabel, format, ...text } = params;
  const cellWidth = Math.min((WIDTH - LEFT - 20) / columns.length, 40);
  const bottom = TOP + rows.length * ROW_HEIGHT;
  const width = Math.max(LEFT + columns.length * cellWidth + 20, NARROWEST);
  const shades = tightLogScale({ domain: widened(domain), range: [0, 1], count: 5 });
  const shadeOf = (value: number): number =>
    Math.min(Math.max(Math.floor(shades.at(value) * SHADES), 0), SHADES - 1);
  const every = Math.ceil(LABEL_WIDTH / cellWidth);
  const body = [
    cells.map(
      ({ row, column, value, title }) =>
        html`<rect
          class="${value === undefined ? "empty" : `q${shadeOf(value)}`}"
          x="${pixels(LEFT + column * cellWidth + 0.75)}"
          y="${TOP + row * ROW_HEIGHT + 0.75}"
          width="${pixels(cellWidth - 1.5)}"
          height="${ROW_HEIGHT - 1.5}"
          rx="2.5"
          ><title>${title}</title></rect
        >`,
    ),
    rows.map(
      (name, row) =>
        html`<text
          class="tick"
          x="${LEFT - 10}"
          y="${TOP + (row + 0.5) * ROW_HEIGHT}"
          dy="0.32em"
          text-anchor="end"
          >${shortened(name)}</text
        >`,
    ),
    columns.map(
      (name, column) =>
        column % every === 0 &&
        html`<text
          class="tick"
          x="${pixels(LEFT + (column + 0.5) * cellWidth)}"
          y="${bottom + 16}"
          text-anchor="middle"
          >${name}</text
        >`,
    ),
    html`<text
      class="label"
      x="${pixels(LEFT + (columns.length * cellWidth) / 2)}"
      y="${bottom + 36}"
      text-anchor="middle"
      >${columnLabel}</text
    >`,
    colourKey({ shades, label: keyLabel, format }),
  ];
  return picture({ ...text, width, height: bottom + 46, body });
}

function colourKey(params: {
  readonly shades: Scale;
  readonly label: string;
  readonly format: (value: number) => string;
}): Html {
  const { shades, label, format } = params;
  const width = KEY_WIDTH / SHADES;
  const steps = Array.from(
    { length: SHADES },
    (_, shade) =>
      html`<rect
        class="q${shade}"
        x="${pixels(LEFT + shade * width)}"
        y="22"
        width="${pixels(width + 0.2)}"
        height="10"
      />`,
  );
  const ticks = shades.ticks.map(
    (tick) =>
      html`<text class="tick" x="${pixels(LEFT + shades.at(tick) * KEY_WIDTH)}" y="47" text-anchor="middle"
        >${format(tick)}</text
      >`,
  );
  return html`<text class="label" x="${LEFT}" y="14">${label}</text>${steps}${ticks}`;
}

/** Errors that are nearly alike are to look alike: ends lie apart by a quarter at least. */
function widened([low, high]: readonly [number, number]): [number, number] {
  const factor = Math.max(Math.sqrt(1.25 / (high / low)), 1);
  return [low / factor, high * factor];
}

/** Names of rows that are longer than their room. */
function shortened(name: string): string {
  const characters = Array.from(name);
  return characters.length <= 18 ? name : `${characters.slice(0, 17).join("")}\u2026`;
}
