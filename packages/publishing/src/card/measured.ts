import type { ReportContents } from "@quern/reports";

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
  readonly tokens: number;
  readonly context: number;
  readonly reference?: string;
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
    const { perplexity, comparison } = evaluation.total;
    figures = {
      ...figures,
      perplexity: perplexity.value,
      ...(comparison && {
        divergence: comparison.divergence.mean.value,
        agreement: comparison.agreement.value,
      }),
    };
  }
  return figures;
}

/** The text that evaluations ran on, where all of them ran on the same. */
export function measurementOf(reports: readonly ReportContents[]): Measurement | undefined {
  const evaluations = reports.flatMap(({ evaluation }) => evaluation ?? []);
  const [first, ...others] = evaluations;
  if (first === undefined || others.some(({ corpus }) => corpus.hash !== first.corpus.hash)) return undefined;
  const { tokens, context } = first.corpus;
  return { tokens, context, ...(first.reference && { reference: first.reference.name }) };
}

/** Models are called by their files, without ending and number of a part. */
function isNameOf(model: string, files: readonly string[]): boolean {
  const plain = (name: string): string => name.replace(/\.gguf$/i, "").replace(/-\d{5}-of-\d{5}$/, "");
  return files.some((file) => plain(file) === plain(model));
}
