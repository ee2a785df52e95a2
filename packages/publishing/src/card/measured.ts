import type { ReportContents } from "@quern/reports";

type Evaluation = NonNullable<ReportContents["evaluation"]>;

/** What was measured of an output; as far as it was. */
export interface MeasuredFigures {
  /** Relative error of the weights, 0..1. */
  readonly weightError?: number;
  readonly perplexity?: number;
  /** Mean divergence from the reference in nats per token. */
  readonly divergence?: number;
  /** Share of positions with the same most likely token, 0..1. */
  readonly agreement?: number;
}

/** On what perplexity and divergence were measured, in words. */
export interface Measurement {
  /** SHA-256 of the windows and of the rule that they were made by. */
  readonly hash: string;
  readonly tokens: number;
  readonly context: number;
  readonly reference?: string;
  readonly referencePerplexity?: number;
}

/**
 * Finds what reports say of an output.
 *
 * @param files Names without folders.
 */
export function measuredFigures(
  reports: readonly ReportContents[],
  files: readonly string[],
): MeasuredFigures {
  const names = new Set(files);
  let figures: MeasuredFigures = {};
  for (const { conversion, evaluation } of reports) {
    const converted = conversion?.outputs.find((output) => output.files.some(({ name }) => names.has(name)));
    if (converted?.errors !== undefined) {
      figures = { ...figures, weightError: converted.errors.relativeError };
    }
    if (evaluation === undefined || !isNameOf(evaluation.model.name, files)) continue;
    figures = { ...figures, ...evaluatedFigures(evaluation) };
  }
  return figures;
}

/** What an evaluation says of its model. */
export function evaluatedFigures({ total: { perplexity, comparison } }: Evaluation): MeasuredFigures {
  return {
    perplexity: perplexity.value,
    ...(comparison && {
      divergence: comparison.divergence.mean.value,
      agreement: comparison.agreement.value,
    }),
  };
}

/** The text that evaluations ran on, where all of them ran on the same. */
export function measurementOf(evaluations: readonly Evaluation[]): Measurement | undefined {
  return commonMeasurement(
    evaluations.map(({ corpus: { hash, tokens, context }, reference, total: { comparison } }) => ({
      hash,
      tokens,
      context,
      ...(reference && { reference: reference.name }),
      ...(comparison && { referencePerplexity: comparison.referencePerplexity.value }),
    })),
  );
}

/** What figures were measured on, where all of them were measured on the same. */
export function commonMeasurement(measurements: readonly Measurement[]): Measurement | undefined {
  const [first, ...others] = measurements;
  return others.every(({ hash }) => hash === first?.hash) ? first : undefined;
}

/** Reports of evaluations of some files or a folder. */
export function reportsOf(
  reports: readonly ReportContents[],
  files: readonly string[],
): readonly ReportContents[] {
  return reports.filter(({ evaluation }) => evaluation && isNameOf(evaluation.model.name, files));
}

/** Models are called by their files, without ending and number of a part. */
function isNameOf(model: string, files: readonly string[]): boolean {
  const plain = (name: string): string => name.replace(/\.gguf$/i, "").replace(/-\d{5}-of-\d{5}$/, "");
  return files.some((file) => plain(file) === plain(model));
}
