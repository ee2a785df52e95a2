import type { CheckpointPlan, CheckpointReport } from "@quern/pipeline/layers";
import { formatBytes } from "./bytes.ts";
import { formatDuration } from "./duration.ts";
import { formatInteger, formatRatio } from "./number.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts } from "./table.ts";

/** What was made of a checkpoint, for the end of the run. */
export function formatCheckpointReport(params: {
  readonly plan: CheckpointPlan;
  readonly report: CheckpointReport;
  /** File of figures, if one was written. */
  readonly reportPath: string | undefined;
  /** Highest resident memory of the process, in bytes. */
  readonly peakMemory: number;
  readonly style: Style;
}): string {
  const { plan, report, reportPath, peakMemory, style } = params;
  const { folder, bytes, files, tensors, layers, seconds, kernels } = report;
  return formatFacts({
    facts: [
      [
        "folder",
        `${printable(folder)} (${formatInteger(files.length)} files, ${formatBytes(bytes)}: ` +
          `${formatRatio(bytes, plan.sourceBytes)} of the source, ${plan.bitsPerWeight.toFixed(2)} bits per weight)`,
      ],
      ...(report.resumed === 0
        ? []
        : [
            [
              "resumed",
              `${formatInteger(report.resumed)} of ${formatInteger(tensors.length)} tensors were done before`,
            ] as const,
          ]),
      ["layers", layersText(report)],
      ...(layers.length === 0 ? [] : [["weights", `${percent(weightError(report))} error`] as const]),
      ...outputFacts(report),
      ["time", formatDuration(seconds * 1000)],
      ["memory", `${formatBytes(peakMemory)} at most`],
      ["kernels", kernels],
      ...(reportPath === undefined ? [] : [["report", printable(reportPath)] as const]),
    ],
    style,
  });
}

function layersText({ layers }: CheckpointReport): string {
  const nearest = layers.filter(
    ({ outputError, rounding }) => outputError?.nearest !== undefined && rounding === "nearest",
  );
  const kept =
    nearest.length === 0
      ? ""
      : `, ${formatInteger(nearest.length)} of them to nearest, as that was better on held-out inputs`;
  return `${formatInteger(layers.length)} quantized${kept}`;
}

/** Root of squared errors over squared weights, of all layers together. */
function weightError({ layers }: CheckpointReport): number {
  const sum = (of: (layer: CheckpointReport["layers"][number]) => number): number =>
    layers.reduce((total, layer) => total + of(layer), 0);
  const weights = sum((layer) => layer.squaredWeights);
  return weights === 0 ? 0 : Math.sqrt(sum((layer) => layer.squaredErrors) / weights);
}

/** Errors of outputs on inputs that were held out, as means over layers. */
function outputFacts({ layers }: CheckpointReport): (readonly [string, string])[] {
  const measured = layers.flatMap(({ outputError }) => (outputError === undefined ? [] : [outputError]));
  if (measured.length === 0) return [];
  const mean = (values: readonly number[]): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value, 0) / values.length);
  const own = mean(measured.map(({ rounded, nearest }) => Math.min(rounded, nearest ?? rounded)));
  const nearest = measured.flatMap((error) => (error.nearest === undefined ? [] : [error.nearest]));
  const beside = nearest.length < measured.length ? "" : `; to nearest it would be ${percent(mean(nearest))}`;
  return [["outputs", `${percent(own)} error on held-out inputs${beside}`]];
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(3)}%`;
}
