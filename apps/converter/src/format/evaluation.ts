import type {
  DomainReport,
  Estimate,
  EvaluatedModel,
  EvaluationPlan,
  EvaluationReport,
} from "@quern/evaluation";
import type { ModelSource } from "@quern/pipeline";
import { formatBytes } from "./bytes.ts";
import { formatDuration, formatEstimate } from "./duration.ts";
import { formatBitsPerWeight, formatInteger, formatParameters } from "./number.ts";
import { networkFacts } from "./network.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts, formatTable, type TableColumn } from "./table.ts";

/** The plan in a few lines: models, texts, resources. */
export function formatEvaluationPlan(params: {
  readonly plan: EvaluationPlan;
  /** What the models are read from. */
  readonly sources: readonly ModelSource[];
  readonly style: Style;
}): string {
  const { plan, sources, style } = params;
  const { model, reference, corpus, positions, save, memory, estimate, threads, kernels } = plan;
  const { rule, windows, domains } = corpus;
  const count = windows.length;
  const spilled =
    memory.spilled === 0
      ? ""
      : `; ${formatBytes(memory.spilled)} of hidden states go to a file in ${plan.folder}`;
  const compared =
    reference === undefined
      ? undefined
      : reference.kind === "model"
        ? reference.facts
        : reference.saved.header.model;
  const facts = formatFacts({
    facts: [
      ...(compared === undefined ? [] : [["against", describeModel(compared)] as const]),
      ["texts", domains.map(printable).join(", ")],
      [
        "tokens",
        `${formatInteger(count * rule.context)} in ${formatInteger(count)} ${count === 1 ? "window" : "windows"} of ${formatInteger(rule.context)}, ` +
          `${formatInteger(count * positions.count)} scored`,
      ],
      ...(save === undefined
        ? []
        : [["file", `${printable(save.path)} (${formatBytes(save.bytes)})`] as const]),
      ...networkFacts(sources),
      ["time", formatEstimate(estimate.seconds)],
      ["threads", threads === 0 ? "the main thread" : String(threads)],
      [
        "memory",
        `about ${formatBytes(estimate.peakMemory)} (buffers: ${formatBytes(memory.used)} of ${formatBytes(memory.budget)}${printable(spilled)})`,
      ],
      ["kernels", kernels],
    ],
    style,
    indent: 2,
  });
  return `${style.bold(printable(model.facts.name))}  ${describeModel(model.facts, "")}\n\n${facts}`;
}

/** What an evaluation found: a line for each text, and one for all. */
export function formatEvaluation(params: {
  readonly report: EvaluationReport;
  readonly style: Style;
}): string {
  const { report, style } = params;
  const { domains, total, reference, run } = report;
  const lines = domains.length === 1 ? domains : [...domains, total];
  const columns = reference === undefined ? MODEL_COLUMNS : [...MODEL_COLUMNS, ...COMPARISON_COLUMNS];
  const table = formatTable({
    columns: columns.map(({ title, align }): TableColumn => ({ title, ...(align && { align }) })),
    rows: lines.map((line) => columns.map(({ text }) => text(line))),
    style,
  });
  const facts = formatFacts({
    facts: [
      ...notesOf(report),
      [
        "time",
        `${formatDuration(run.seconds * 1000)} (${formatInteger(Math.round(run.tokensPerSecond))} tokens per second)`,
      ],
      ["memory", `${formatBytes(run.peakMemory)} at most`],
      ["kernels", `${run.kernels}, ${run.threads === 0 ? "the main thread" : `threads: ${run.threads}`}`],
    ],
    style,
  });
  return `${table}\n${facts}`;
}

interface ReportColumn {
  readonly title: string;
  readonly align?: "right";
  readonly text: (line: DomainReport) => string;
}

const right = (title: string, text: (line: DomainReport) => string): ReportColumn => ({
  title,
  align: "right",
  text,
});

const MODEL_COLUMNS: readonly ReportColumn[] = [
  { title: "Text", text: ({ name }) => printable(name) },
  right("Scored", ({ positions }) => formatInteger(positions)),
  right("PPL", ({ perplexity }) => withError(perplexity, 4)),
];

const COMPARISON_COLUMNS: readonly ReportColumn[] = [
  right("Reference", ({ comparison }) => comparison!.referencePerplexity.value.toFixed(4)),
  right("ln ratio", ({ comparison }) => withError(comparison!.logPerplexityRatio, 5)),
  right("KLD", ({ comparison }) => withError(comparison!.divergence.mean, 6)),
  right("Median", ({ comparison }) => comparison!.divergence.median.toPrecision(3)),
  right("99%", ({ comparison }) => {
    const percentile = comparison!.divergence.percentiles.find(({ percent }) => percent === 99);
    return percentile === undefined ? "-" : percentile.value.toPrecision(3);
  }),
  right("Same top", ({ comparison }) => `${withError(comparison!.agreement, 2, 100)} %`),
  right("RMS Δp", ({ comparison }) => `${withError(comparison!.deltaP.rootMeanSquare, 3, 100)} %`),
];

/** What the figures of the table are, as far as it cannot be seen there. */
function notesOf({ total, confidence, reference }: EvaluationReport): Array<readonly [string, string]> {
  const divergence = total.comparison?.divergence;
  const { interval } = divergence?.mean ?? total.perplexity;
  const level = `${Math.round(100 * confidence.level)}%`;
  return [
    ...(divergence === undefined ? [] : [["KLD", "nats per token, from the reference"] as const]),
    ...(interval === undefined
      ? []
      : [
          [
            "interval",
            `${divergence === undefined ? "PPL" : "KLD"} of all texts ${interval[0].toPrecision(4)} to ${interval[1].toPrecision(4)} (${level}, windows resampled)`,
          ] as const,
        ]),
    ...(divergence?.bounds === undefined
      ? []
      : [
          [
            "estimate",
            `by the ${reference?.likeliest} most likely tokens; the exact KLD is from ${divergence.bounds[0].toPrecision(4)} to ${divergence.bounds[1].toPrecision(4)}`,
          ] as const,
        ]),
  ];
}

/** @param digits Decimals at least; there are more where the error would have fewer than two digits of its own. */
function withError({ value, error }: Estimate, digits: number, factor = 1): string {
  const needed = error > 0 ? 1 - Math.floor(Math.log10(factor * error)) : 0;
  const decimals = Math.min(Math.max(digits, needed), MOST_DECIMALS);
  return `${(factor * value).toFixed(decimals)} ± ${(factor * error).toFixed(decimals)}`;
}

const MOST_DECIMALS = 9;

/** "demo · llama · 2.89M parameters · 9.51 bits each (I8, BF16) · inputs of 28 layers as I8" */
function describeModel(model: EvaluatedModel, name = `${printable(model.name)} · `): string {
  const { architecture, parameters, bytes, types, quantizedInputs = [] } = model;
  const inputs = quantizedInputs.map(({ type, layers }) => ` · inputs of ${layers} layers as ${type}`);
  const kinds = types.map(({ type }) => type).join(", ");
  return `${name}${printable(architecture)} · ${formatParameters(parameters)} parameters · ${formatBitsPerWeight(bytes, parameters)} bits each (${kinds})${inputs.join("")}`;
}
