import { amount, type Check, flag, listOf, number, objectOf, optional, refuse, text } from "./check.ts";
import type {
  ConversionRecord,
  ErrorRecord,
  OutputError,
  OutputRecord,
  RoundingRecord,
  TensorRecord,
} from "./conversion.ts";
import type {
  ComparisonRecord,
  DomainRecord,
  Estimate,
  EvaluatedModelRecord,
  EvaluationRecord,
  Histogram,
  Percentile,
} from "./evaluation.ts";
import type { ReportContents } from "./report.ts";

/**
 * Takes the parsed JSON of a report apart, or that of an evaluation by itself.
 *
 * @throws ReportFormatError (`REPORT_FORMAT`) for anything else, with the place that is wrong
 */
export function readReport(value: unknown): ReportContents {
  const { format, version } = head(value, "");
  if (format !== "quern-report" && format !== "quern-evaluation") {
    refuse("format", '"quern-report" or "quern-evaluation"');
  }
  if (version !== 1) refuse("version", "1, the only one so far");
  return format === "quern-report" ? contents(value, "") : { evaluation: evaluation(value, "") };
}

const head = objectOf<{ format?: string; version?: number }>({
  format: optional(text),
  version: optional(number),
});

const outputError = objectOf<OutputError>({
  squaredErrors: amount,
  squaredWeights: amount,
  relativeSquaredError: amount,
  relativeError: amount,
});

const errors = objectOf<ErrorRecord>({
  squaredErrors: amount,
  squaredWeights: amount,
  relativeSquaredError: amount,
  relativeError: amount,
  snr: optional(number),
  largestError: optional(amount),
  clipped: optional(amount),
  clippedShare: optional(amount),
  vanished: optional(amount),
  groups: optional(amount),
  vanishedShare: optional(amount),
  output: optional(outputError),
  hessian: optional(outputError),
  heldOut: optional(outputError),
});

const rounding = objectOf<RoundingRecord>({
  name: text,
  matrices: amount,
  kept: amount,
  withoutInputs: amount,
  outputError: optional(
    objectOf<NonNullable<RoundingRecord["outputError"]>>({ rounded: amount, plain: amount, kept: amount }),
  ),
  damping: optional(amount),
  deadColumns: optional(amount),
});

const tensor = objectOf<TensorRecord>({
  name: text,
  layer: optional(amount),
  role: text,
  shape: listOf(amount),
  from: text,
  type: text,
  bytes: amount,
  requantized: flag,
  fallback: optional(text),
  errors: optional(errors),
  rounding: optional(rounding),
});

const output = objectOf<OutputRecord>({
  type: text,
  files: listOf(objectOf<OutputRecord["files"][number]>({ name: text, bytes: amount })),
  bytes: amount,
  bitsPerWeight: amount,
  tensors: listOf(tensor),
  errors: optional(errors),
});

const conversion = objectOf<ConversionRecord>({
  tool: text,
  model: text,
  architecture: text,
  parameters: amount,
  sourceBytes: amount,
  sourceTypes: listOf(text),
  importance: optional(
    objectOf<NonNullable<ConversionRecord["importance"]>>({
      file: text,
      datasets: listOf(text),
      chunks: optional(amount),
    }),
  ),
  settings: listOf(objectOf<ConversionRecord["settings"][number]>({ name: text, value: text })),
  outputs: listOf(output),
});

const interval: Check<readonly [number, number]> = (value, place) => {
  const [low, high, ...more] = listOf(number)(value, place);
  if (low === undefined || high === undefined || more.length > 0) refuse(place, "two numbers");
  return [low, high];
};

const estimate = objectOf<Estimate>({ value: number, error: number, interval: optional(interval) });
const percentile = objectOf<Percentile>({ percent: number, value: number });

const histogram: Check<Histogram> = (value, place) => {
  const known = objectOf<Histogram>({
    edges: listOf(number),
    counts: listOf(amount),
    below: amount,
    above: amount,
  })(value, place);
  const { edges, counts } = known;
  if (edges.length !== counts.length + 1) refuse(`${place}.edges`, "one more than counts");
  if (edges.some((edge, i) => edge <= (edges[i - 1] ?? 0)))
    refuse(`${place}.edges`, "rising numbers above 0");
  return known;
};

const comparison = objectOf<ComparisonRecord>({
  referencePerplexity: estimate,
  perplexityRatio: estimate,
  divergence: objectOf<ComparisonRecord["divergence"]>({
    mean: estimate,
    median: number,
    maximum: number,
    percentiles: optional(listOf(percentile)),
    histogram,
  }),
  deltaP: objectOf<ComparisonRecord["deltaP"]>({ mean: estimate, rootMeanSquare: estimate }),
  agreement: estimate,
});

const domain = objectOf<DomainRecord>({
  name: text,
  windows: amount,
  positions: amount,
  perplexity: estimate,
  comparison: optional(comparison),
});

const model = objectOf<EvaluatedModelRecord>({
  name: text,
  architecture: text,
  parameters: amount,
  bytes: amount,
});

const evaluation = objectOf<EvaluationRecord>({
  tool: text,
  model,
  reference: optional(model),
  corpus: objectOf<EvaluationRecord["corpus"]>({
    hash: text,
    tokenizer: text,
    context: amount,
    score: text,
    windows: amount,
    tokens: amount,
    positions: amount,
  }),
  confidence: objectOf<EvaluationRecord["confidence"]>({ level: amount, resamples: amount, seed: number }),
  domains: listOf(domain),
  total: domain,
});

const contents = objectOf<Omit<ReportContents, "details">>({
  conversion: optional(conversion),
  evaluation: optional(evaluation),
});
