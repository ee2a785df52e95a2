import type { ConversionRecord, OutputRecord, TensorRecord } from "../conversion.ts";
import { formatDecibels, formatFigure, formatInteger, formatKnown, formatPercent } from "../format.ts";
import { html, type Html, type HtmlPart } from "../html/html.ts";
import { barCell, table, type TableColumn } from "../html/table.ts";
import { hasCounts, outputCells, type OutputFigure, outputFigures } from "../output-figures.ts";

/** Of each output. */
const MOST_WORST = { alone: 15, besideOthers: 6 };

/** A tensor with the output that it is in. */
interface Placed {
  readonly output: OutputRecord;
  readonly tensor: TensorRecord;
}

/** The tensors that lost most, and all of them. */
export function tensorsSection({ outputs }: ConversionRecord): Html | undefined {
  const all = outputs.flatMap((output) => output.tensors.map((tensor): Placed => ({ output, tensor })));
  const several = outputs.length > 1;
  const worst = outputs.flatMap((output) =>
    all
      .filter((placed) => placed.output === output && errorOf(placed) > 0)
      .sort((a, b) => errorOf(b) - errorOf(a))
      .slice(0, several ? MOST_WORST.besideOthers : MOST_WORST.alone),
  );
  if (worst.length === 0) return undefined;
  const largest = worst.reduce((most, placed) => Math.max(most, errorOf(placed)), 0);
  const shown = { largest, several, figures: outputFigures(outputs), counts: hasCounts(outputs) };
  return html`<section aria-labelledby="tensors">
    <h2 id="tensors">Tensors that lost most</h2>
    <p>
      Relative error is the root of the squared error over the squared weights.
      ${
        shown.counts &&
        "Clipped weights lie beyond the ends of the grid of the group that they share a scale with, by more than half a step. Vanished groups are all zero now, and were not."
      }
    </p>
    ${tensorTable({ caption: "Tensors that lost most", placed: worst, ...shown })}
    <details>
      <summary>All ${formatInteger(all.length)} tensors</summary>
      ${tensorTable({ caption: "All tensors", placed: all, ...shown })}
    </details>
  </section>`;
}

function errorOf({ tensor }: Placed): number {
  return tensor.errors?.relativeError ?? 0;
}

function tensorTable(params: {
  readonly caption: string;
  readonly placed: readonly Placed[];
  readonly largest: number;
  readonly several: boolean;
  readonly figures: readonly OutputFigure[];
  /** Whether there are counts. */
  readonly counts: boolean;
}): Html {
  const { caption, placed, largest, several, figures, counts } = params;
  const numbers = (...titles: string[]): TableColumn[] => titles.map((title) => ({ title, number: true }));
  return table({
    caption,
    columns: [
      { title: "Tensor" },
      ...(several ? [{ title: "Output" }] : []),
      { title: "Type" },
      ...numbers("Shape", "Relative error", "SNR", ...figures.map(({ title }) => title)),
      ...numbers(...(counts ? ["Largest", "Clipped", "Vanished"] : [])),
    ],
    rows: placed.map(({ output, tensor }) => [
      html`<code>${tensor.name}</code>`,
      ...(several ? [output.type] : []),
      typeCell(tensor),
      tensor.shape.join(" \u00d7 "),
      ...errorCells(tensor, { largest, figures, counts }),
    ]),
  });
}

function typeCell({ from, type, requantized, fallback }: TensorRecord): Html {
  const change = from === type ? type : `${from} \u2192 ${type}`;
  return html`${change}${requantized && html`<span class="tag">quantized again</span>`}${
    fallback !== undefined && html`<span class="tag" title="${fallback}">fallback</span>`
  }`;
}

function errorCells(
  { errors }: TensorRecord,
  { largest, figures, counts }: { largest: number; figures: readonly OutputFigure[]; counts: boolean },
): HtmlPart[] {
  if (errors === undefined) return ["exact", "", ...figures.map(() => ""), ...(counts ? ["", "", ""] : [])];
  const { relativeError, snr, largestError, clippedShare, vanished } = errors;
  return [
    barCell(formatPercent(relativeError), relativeError / largest),
    formatDecibels(snr),
    ...outputCells(errors, figures),
    ...(counts
      ? [
          formatKnown(largestError, formatFigure),
          formatKnown(clippedShare, formatPercent),
          formatKnown(vanished, formatInteger),
        ]
      : []),
  ];
}
