import type { ConversionRecord, ErrorRecord, OutputRecord, TensorRecord } from "../conversion.ts";
import { formatDecibels, formatPercent } from "../format.ts";
import { html, type Html } from "../html/html.ts";
import { heatMap, type HeatMapCell } from "../plot/heat-map.ts";
import { lineChart, type LineSeries } from "../plot/line-chart.ts";
import { extentOf } from "../plot/scale.ts";
import { OUTPUT_FIGURES } from "../output-figures.ts";
import { errorsOf, groupBy } from "../tensor-groups.ts";
import { sortRoles } from "../tensor-place.ts";
import { formatPercentTick } from "./outputs.ts";

/** A figure that maps show. */
interface Figure {
  readonly id: string;
  readonly name: string;
  readonly of: (errors: ErrorRecord) => number | undefined;
}

const FIGURES: readonly Figure[] = [
  { id: "weights", name: "relative error of the weights", of: ({ relativeError }) => relativeError },
  ...OUTPUT_FIGURES.map(({ id, note, of }): Figure => {
    return { id, name: `relative output error, ${note}`, of: (errors) => of(errors)?.relativeError };
  }),
];

/** Lines that can be told apart. */
const MOST_LINES = 8;

/** Where in the model the error is: by layer and by role. Undefined where no tensor of a layer has any. */
export function layersSection({ outputs }: ConversionRecord): Html | undefined {
  const maps = FIGURES.map((figure) => ({ figure, maps: mapsOf(outputs, figure) }));
  if (maps.every((group) => group.maps.length === 0)) return undefined;
  return html`<section aria-labelledby="layers">
    <h2 id="layers">Where the error is</h2>
    ${linesOf(outputs)}
    ${maps.map(
      ({ figure, maps: shown }) =>
        shown.length > 0 &&
        html`<h3>By layer and role: ${figure.name}</h3>
          <div class="maps">${shown}</div>`,
    )}
  </section>`;
}

function linesOf(outputs: readonly OutputRecord[]): Html | undefined {
  const [only, ...others] = outputs;
  const byRole =
    only !== undefined && others.length === 0 ? groupBy(inLayers(only), ({ role }) => role) : undefined;
  const groups: readonly (readonly [string, readonly TensorRecord[]])[] =
    byRole !== undefined && byRole.size <= MOST_LINES
      ? sortRoles(byRole.keys()).map((role) => [role, byRole.get(role)!])
      : outputs.map((output) => [output.type, inLayers(output)]);
  const series = groups
    .map(([name, tensors]) => lineOf(name, tensors))
    .filter(({ points }) => points.length > 1);
  if (series.length === 0) return undefined;
  return html`<h3>By layer</h3>
    ${lineChart({
      id: "by-layer",
      title: "Relative error by layer",
      description: `Relative error of the weights of each layer: ${series.map(({ name }) => name).join(", ")}.`,
      series,
      xLabel: "layer",
      yLabel: "relative error",
      yFormat: formatPercentTick,
    })}`;
}

function lineOf(name: string, tensors: readonly TensorRecord[]): LineSeries {
  const layers = [...groupBy(tensors, ({ layer }) => layer!)].sort(([a], [b]) => a - b);
  const points = layers.flatMap(([layer, group]) => {
    const errors = errorsOf(group);
    if (errors === undefined || errors.relativeError === 0) return [];
    return [
      { x: layer, y: errors.relativeError, title: `layer ${layer}: ${formatPercent(errors.relativeError)}` },
    ];
  });
  return { name, points };
}

function mapsOf(outputs: readonly OutputRecord[], figure: Figure): Html[] {
  const values = outputs
    .flatMap(({ tensors }) => tensors)
    .flatMap(({ layer, errors }) =>
      layer === undefined || errors === undefined ? [] : (figure.of(errors) ?? []),
    )
    .filter((value) => value > 0);
  if (values.length === 0) return [];
  const domain = extentOf(values);
  return outputs.flatMap((output, index) => {
    const tensors = inLayers(output);
    const measured = tensors.filter(({ errors }) => errors !== undefined && figure.of(errors) !== undefined);
    if (measured.length === 0) return [];
    const rows = sortRoles(measured.map(({ role }) => role));
    const layers = [...new Set(tensors.map(({ layer }) => layer!))].sort((a, b) => a - b);
    const rowOf = new Map(rows.map((role, row) => [role, row]));
    const columnOf = new Map(layers.map((layer, column) => [layer, column]));
    // Experts that are tensors of their own share a cell.
    const groups = groupBy(measured, ({ role, layer }) => `${layer} ${role}`);
    const cells = [...groups.values()].map((group): HeatMapCell => {
      const [tensor] = group as [TensorRecord];
      const errors = errorsOf(group)!;
      const value = figure.of(errors)!;
      const name = group.length === 1 ? tensor.name : `${tensor.name} and ${group.length - 1} others`;
      return {
        row: rowOf.get(tensor.role)!,
        column: columnOf.get(tensor.layer!)!,
        value: value > 0 ? value : undefined,
        title: `${name}, ${tensor.type}: ${formatPercent(value)}${figure.id === "weights" ? ` (${formatDecibels(errors.snr)})` : ""}`,
      };
    });
    return [
      heatMap({
        id: `map-${figure.id}-${index}`,
        title: `${output.type}: ${figure.name}`,
        description: `One cell for each role and layer of ${output.type}; the figures are in the table of all tensors.`,
        rows,
        columns: layers.map(String),
        cells,
        domain,
        columnLabel: "layer",
        keyLabel: `${output.type}: ${figure.name}`,
        format: formatPercentTick,
      }),
    ];
  });
}

function inLayers({ tensors }: OutputRecord): TensorRecord[] {
  return tensors.filter(({ layer, errors }) => layer !== undefined && errors !== undefined);
}
