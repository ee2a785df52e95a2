import type { ComparisonRecord, DomainRecord, Estimate, EvaluationRecord } from "../evaluation.ts";
import { formatFigure, formatInteger, formatPercent } from "../format.ts";
import { html, type Html } from "../html/html.ts";
import { table, type TableColumn, tiles } from "../html/table.ts";
import { histogramPlot } from "../plot/histogram.ts";
import { formatPercentTick } from "./outputs.ts";

/** How the model predicts text, alone or beside its reference. */
export function evaluationSection(evaluation: EvaluationRecord): Html {
  const { model, reference, total, domains } = evaluation;
  const { comparison } = total;
  const beside = reference === undefined ? "" : ` beside ${reference.name}`;
  return html`<section aria-labelledby="evaluation">
    <h2 id="evaluation">How it predicts text</h2>
    <p>
      ${model.name}${beside}: ${formatInteger(total.positions)} positions scored in
      ${formatInteger(total.windows)} windows of ${formatInteger(evaluation.corpus.context)} tokens.
    </p>
    ${tiles([
      { label: "Perplexity", ...shown(total.perplexity, formatPrecise) },
      ...(comparison === undefined ? [] : comparisonTiles(comparison)),
    ])}
    ${comparison !== undefined && divergencePlot(comparison, total.positions)}
    <h3>By text</h3>
    ${domainTable([...domains, ...(domains.length > 1 ? [{ ...total, name: "all" }] : [])])}
  </section>`;
}

function comparisonTiles(comparison: ComparisonRecord): { label: string; value: string; note?: string }[] {
  const { divergence, agreement, perplexityRatio, deltaP } = comparison;
  return [
    { label: "Mean divergence (KLD)", ...shown(divergence.mean, formatFigure) },
    { label: "Median divergence", value: formatFigure(divergence.median), note: "nats per token" },
    { label: "Same top token", ...shown(agreement, formatShare) },
    { label: "Perplexity ratio", ...shown(perplexityRatio, formatPrecise) },
    { label: "RMS change of p", ...shown(deltaP.rootMeanSquare, formatPercent) },
  ];
}

function divergencePlot({ divergence }: ComparisonRecord, positions: number): Html {
  const { histogram, mean, median, percentiles = [] } = divergence;
  const high = percentiles.filter(({ percent }) => percent === 99);
  const outside = [
    ...(histogram.below > 0 ? [`${formatInteger(histogram.below)} lie below the scale`] : []),
    ...(histogram.above > 0 ? [`${formatInteger(histogram.above)} above`] : []),
  ];
  return html`<h3>Divergence of predictions</h3>
    <p>
      Kullback-Leibler divergence from the reference, position by
      position${outside.length > 0 && `; ${outside.join(", ")}`}.
    </p>
    ${histogramPlot({
      id: "divergence",
      title: "Divergence of predictions",
      description: `Share of positions by divergence. The mean is ${formatFigure(mean.value)}, the median ${formatFigure(median)} nats.`,
      edges: histogram.edges,
      shares: histogram.counts.map((count) => count / Math.max(positions, 1)),
      marks: [
        { value: median, label: `median ${formatFigure(median)}` },
        { value: mean.value, label: `mean ${formatFigure(mean.value)}` },
        ...high.map(({ value }) => ({ value, label: `99 % below ${formatFigure(value)}` })),
      ],
      xLabel: "divergence in nats",
      yLabel: "share of positions",
      xFormat: (value) => (value >= 0.01 && value < 1000 ? String(value) : value.toExponential(0)),
      yFormat: formatPercentTick,
      barTitle: (low, upper, share) =>
        `${formatFigure(low)} to ${formatFigure(upper)} nats: ${formatPercent(share)} of the positions`,
    })}`;
}

function domainTable(domains: readonly DomainRecord[]): Html {
  const compared = domains.some(({ comparison }) => comparison !== undefined);
  const numbers = (...titles: string[]): TableColumn[] => titles.map((title) => ({ title, number: true }));
  return table({
    caption: "Figures by text",
    columns: [
      { title: "Text" },
      ...numbers("Positions", "Perplexity"),
      ...(compared
        ? numbers("Ratio", "Mean KLD", "Median KLD", "99 % of KLD below", "Same top token", "RMS change of p")
        : []),
    ],
    rows: domains.map(({ name, positions, perplexity, comparison }) => [
      name,
      formatInteger(positions),
      withError(perplexity, formatPrecise),
      ...(compared ? comparisonCells(comparison) : []),
    ]),
  });
}

function comparisonCells(comparison: ComparisonRecord | undefined): string[] {
  if (comparison === undefined) return ["", "", "", "", "", ""];
  const { perplexityRatio, divergence, agreement, deltaP } = comparison;
  const high = divergence.percentiles?.find(({ percent }) => percent === 99);
  return [
    withError(perplexityRatio, formatPrecise),
    withError(divergence.mean, formatFigure),
    formatFigure(divergence.median),
    high === undefined ? "\u2013" : formatFigure(high.value),
    withError(agreement, formatShare),
    withError(deltaP.rootMeanSquare, formatPercent),
  ];
}

function shown(estimate: Estimate, format: (value: number) => string): { value: string; note: string } {
  const { value, error, interval } = estimate;
  const note =
    interval === undefined ? `\u00b1 ${format(error)}` : `${format(interval[0])} to ${format(interval[1])}`;
  return { value: format(value), note };
}

function withError({ value, error }: Estimate, format: (value: number) => string): string {
  return `${format(value)} \u00b1 ${format(error)}`;
}

/** Perplexities and their ratios differ little. */
function formatPrecise(value: number): string {
  return Math.abs(value) >= 1e6 ? formatFigure(value) : value.toFixed(Math.abs(value) >= 1000 ? 1 : 4);
}

function formatShare(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
