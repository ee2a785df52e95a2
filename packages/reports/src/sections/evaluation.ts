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
      { label: "Perplexity", ...shown(total.perplexity, PLAIN) },
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
    { label: "Mean divergence (KLD)", ...shown(divergence.mean, PLAIN) },
    { label: "Median divergence", value: formatFigure(divergence.median), note: "nats per token" },
    { label: "Same top token", ...shown(agreement, PERCENT) },
    { label: "Perplexity ratio", ...shown(perplexityRatio, PLAIN) },
    { label: "RMS \u0394p", ...shown(deltaP.rootMeanSquare, PERCENT) },
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
        ? numbers("Ratio", "Mean KLD", "Median KLD", "99 % below", "Same top token", "RMS \u0394p")
        : []),
    ],
    rows: domains.map(({ name, positions, perplexity, comparison }) => [
      name,
      formatInteger(positions),
      withError(perplexity, PLAIN),
      ...(compared ? comparisonCells(comparison) : []),
    ]),
  });
}

function comparisonCells(comparison: ComparisonRecord | undefined): string[] {
  if (comparison === undefined) return ["", "", "", "", "", ""];
  const { perplexityRatio, divergence, agreement, deltaP } = comparison;
  const high = divergence.percentiles?.find(({ percent }) => percent === 99);
  return [
    withError(perplexityRatio, PLAIN),
    withError(divergence.mean, PLAIN),
    formatFigure(divergence.median),
    high === undefined ? "\u2013" : formatFigure(high.value),
    withError(agreement, PERCENT),
    withError(deltaP.rootMeanSquare, PERCENT),
  ];
}

function shown(estimate: Estimate, unit: Unit): { value: string; note: string } {
  const { value, error, interval } = estimate;
  const format = formatterFor(estimate, unit);
  const note =
    interval === undefined ? `\u00b1 ${format(error)}` : `${format(interval[0])} to ${format(interval[1])}`;
  return { value: format(value) + unit.name, note };
}

function withError(estimate: Estimate, unit: Unit): string {
  const format = formatterFor(estimate, unit);
  return `${format(estimate.value)} \u00b1 ${format(estimate.error)}${unit.name}`;
}

interface Unit {
  readonly name: string;
  readonly factor: number;
}

const PLAIN: Unit = { name: "", factor: 1 };
const PERCENT: Unit = { name: " %", factor: 100 };

/** With as many digits as the error has meaning: two of its own. */
function formatterFor({ error }: Estimate, { factor }: Unit): (value: number) => string {
  const size = Math.abs(error * factor);
  const digits = size > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(size)), 0), 8) : 4;
  return (value) =>
    Math.abs(value) >= 1e9 ? formatFigure(value * factor) : (value * factor).toFixed(digits);
}
