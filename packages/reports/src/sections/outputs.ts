import type { ConversionRecord, ErrorRecord, OutputRecord } from "../conversion.ts";
import {
  formatBytes,
  formatDecibels,
  formatFigure,
  formatInteger,
  formatKnown,
  formatPercent,
} from "../format.ts";
import { html, type Html } from "../html/html.ts";
import { barCell, table, tiles } from "../html/table.ts";
import { scatterPlot, type ScatterPoint } from "../plot/scatter.ts";
import {
  hasCounts,
  OUTPUT_FIGURES,
  outputCells,
  type OutputFigure,
  outputFigures,
} from "../output-figures.ts";
import { typesOf } from "../tensor-groups.ts";

/** What was written: sizes, and errors in all and by type. */
export function outputsSection({ outputs, sourceBytes }: ConversionRecord): Html {
  const [only] = outputs;
  return html`<section aria-labelledby="outputs">
    <h2 id="outputs">What was written</h2>
    ${outputs.length === 1 && only !== undefined ? outputTiles(only, sourceBytes) : outputTable(outputs, sourceBytes)}
    ${sizeAgainstError(outputs)} ${typeTable(outputs)}
  </section>`;
}

function outputTiles(output: OutputRecord, sourceBytes: number): Html {
  const { bytes, bitsPerWeight, errors, type } = output;
  return tiles([
    { label: type, value: formatBytes(bytes), note: `${formatPercent(bytes / sourceBytes)} of the source` },
    { label: "Size", value: bitsPerWeight.toFixed(2), note: "bits per weight" },
    ...(errors === undefined ? [] : errorTiles(errors)),
  ]);
}

function errorTiles(errors: ErrorRecord): { label: string; value: string; note?: string }[] {
  const { relativeError, snr, clippedShare, clipped, vanished } = errors;
  return [
    { label: "Relative error", value: formatPercent(relativeError), note: formatDecibels(snr) },
    ...OUTPUT_FIGURES.flatMap(({ title, note, of }) => {
      const output = of(errors);
      return output === undefined ? [] : [{ label: title, value: formatPercent(output.relativeError), note }];
    }),
    ...(clippedShare === undefined || clipped === undefined
      ? []
      : [{ label: "Clipped weights", value: formatPercent(clippedShare), note: formatInteger(clipped) }]),
    ...(vanished === undefined
      ? []
      : [{ label: "Vanished groups", value: formatInteger(vanished), note: "all zero, and were not" }]),
  ];
}

function outputTable(outputs: readonly OutputRecord[], sourceBytes: number): Html {
  const shown = { figures: outputFigures(outputs), counts: hasCounts(outputs) };
  const largest = outputs.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  return table({
    caption: "Outputs",
    columns: [
      { title: "Output" },
      { title: "Size", number: true },
      { title: "Of source", number: true },
      { title: "Bits / weight", number: true },
      ...errorColumns(shown),
    ],
    rows: outputs.map(({ type, bytes, bitsPerWeight, errors }) => [
      type,
      barCell(formatBytes(bytes), bytes / largest),
      formatPercent(bytes / sourceBytes),
      bitsPerWeight.toFixed(2),
      ...errorCells(errors, shown),
    ]),
  });
}

function typeTable(outputs: readonly OutputRecord[]): Html {
  const shown = { figures: outputFigures(outputs), counts: hasCounts(outputs) };
  return html`<h3>By type</h3>
    ${table({
      caption: "Types of tensors",
      columns: [
        { title: "Type" },
        ...(outputs.length === 1 ? [] : [{ title: "Output" }]),
        { title: "Tensors", number: true },
        { title: "Weights", number: true },
        { title: "Bits / weight", number: true },
        ...errorColumns(shown),
      ],
      rows: outputs.flatMap((output) =>
        typesOf(output).map((group) => [
          group.type,
          ...(outputs.length === 1 ? [] : [output.type]),
          formatInteger(group.tensors),
          barCell(formatPercent(group.share), group.share),
          group.bitsPerWeight.toFixed(2),
          ...errorCells(group.errors, shown),
        ]),
      ),
    })}`;
}

/** What tables have columns for. */
interface ShownFigures {
  readonly figures: readonly OutputFigure[];
  readonly counts: boolean;
}

/** Columns of {@link errorCells}. */
function errorColumns({ figures, counts }: ShownFigures): { title: string; number: true }[] {
  const titles = [
    "Relative error",
    "SNR",
    ...figures.map(({ title }) => title),
    ...(counts ? ["Clipped"] : []),
  ];
  return titles.map((title) => ({ title, number: true }));
}

function errorCells(errors: ErrorRecord | undefined, { figures, counts }: ShownFigures): string[] {
  if (errors === undefined) return ["exact", "", ...figures.map(() => ""), ...(counts ? [""] : [])];
  const { relativeError, snr, clippedShare } = errors;
  return [
    formatPercent(relativeError),
    formatDecibels(snr),
    ...outputCells(errors, figures),
    ...(counts ? [formatKnown(clippedShare, formatPercent)] : []),
  ];
}

function sizeAgainstError(outputs: readonly OutputRecord[]): Html | undefined {
  const points = outputs.flatMap((output, series): ScatterPoint[] => [
    ...typesOf(output).flatMap(({ type, share, bitsPerWeight, tensors, errors }): ScatterPoint[] => {
      if (errors === undefined || errors.relativeError === 0) return [];
      const count = `${formatInteger(tensors)} ${tensors === 1 ? "tensor" : "tensors"}`;
      const title = `${type} in ${output.type}: ${formatPercent(errors.relativeError)} error, ${bitsPerWeight.toFixed(2)} bits per weight, ${formatPercent(share)} of the weights, ${count}`;
      const radius = 5 + 20 * Math.sqrt(share);
      return [{ series, x: bitsPerWeight, y: errors.relativeError, radius, label: type, title }];
    }),
    ...totalOf(output, series),
  ]);
  if (points.length === 0) return undefined;
  return html`<h3>Size against error</h3>
    <p>
      Each circle is a type, as large as its share of the weights; each diamond is a whole output. Lower left
      is better.
    </p>
    ${scatterPlot({
      id: "size-error",
      title: "Size against error",
      description: "Bits per weight against relative error, for each type of tensor and for each output.",
      series: outputs.map(({ type }) => type),
      points,
      xLabel: "bits per weight",
      yLabel: "relative error",
      xFormat: String,
      yFormat: formatPercentTick,
    })}`;
}

function totalOf({ type, bitsPerWeight, errors }: OutputRecord, series: number): ScatterPoint[] {
  if (errors === undefined || errors.relativeError === 0) return [];
  const title = `${type}, all: ${formatPercent(errors.relativeError)} error, ${bitsPerWeight.toFixed(2)} bits per weight`;
  return [{ series, x: bitsPerWeight, y: errors.relativeError, radius: 8, label: type, total: true, title }];
}

/** Ticks are round numbers. */
export function formatPercentTick(share: number): string {
  return `${Number((share * 100).toPrecision(6)) >= 1e-3 ? Number((share * 100).toPrecision(6)) : formatFigure(share * 100)} %`;
}
