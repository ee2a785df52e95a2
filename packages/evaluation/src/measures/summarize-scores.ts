import type { Comparison, DomainReport, Estimate } from "../report.ts";
import { bootstrapIntervals, type Confidence, type Intervals, type WindowSums } from "./bootstrap.ts";
import { covarianceOfMeans, type Mean, meanOf, rootMeanSquareOf, shareOf } from "./estimate.ts";
import { divergenceHistogram } from "./histogram.ts";
import { joinScores, type PositionScores } from "./position-scores.ts";
import { spreadOf } from "./spread.ts";

/** Those that llama-perplexity prints. */
const DIVERGENCE_PERCENTS = [0.1, 1, 5, 10, 90, 95, 99, 99.9];
const DELTA_PERCENTS = [0.1, 1, 5, 10, 25, 75, 90, 95, 99, 99.9];

/**
 * Figures of a text, or of several together. Definitions and errors are those of llama-perplexity (tools/perplexity/perplexity.cpp
 * of llama.cpp); intervals are bootstrapped over windows.
 *
 * @param params.domains Scores of each window of each text: at least one window with at least one position in all.
 */
export function summarizeScores(params: {
  readonly name: string;
  readonly domains: readonly (readonly PositionScores[])[];
  readonly confidence: Confidence;
}): DomainReport {
  const { name, domains, confidence } = params;
  const windows = domains.flat();
  const scores = joinScores(windows);
  const groups = domains.map((domain) => domain.map(windowSums));
  const facts = { name, windows: windows.length, positions: scores.loss.length };
  const perplexity = exponential(meanOf(scores.loss));
  if (scores.comparison === undefined) {
    const intervals = bootstrapIntervals({ groups, figures: MODEL_FIGURES, confidence });
    return { ...facts, perplexity: withInterval(perplexity, intervals?.perplexity) };
  }
  const intervals = bootstrapIntervals({ groups, figures: COMPARISON_FIGURES, confidence });
  return {
    ...facts,
    perplexity: withInterval(perplexity, intervals?.perplexity),
    comparison: compare(scores.loss, scores.comparison, intervals),
  };
}

type Figure = (means: Float64Array) => number;

/** Places of the means over positions that figures are made of; see `windowSums`. */
const [LOSS, REFERENCE_LOSS, DIVERGENCE, DELTA, SQUARE, AGREES] = [0, 1, 2, 3, 4, 5] as const;

const perplexityAt =
  (place: number): Figure =>
  (means) =>
    Math.exp(means[place]!);

const MODEL_FIGURES = { perplexity: perplexityAt(LOSS) };

const COMPARISON_FIGURES = {
  ...MODEL_FIGURES,
  referencePerplexity: perplexityAt(REFERENCE_LOSS),
  perplexityRatio: (means) => Math.exp(means[LOSS]! - means[REFERENCE_LOSS]!),
  logPerplexityRatio: (means) => means[LOSS]! - means[REFERENCE_LOSS]!,
  perplexityDifference: (means) => Math.exp(means[LOSS]!) - Math.exp(means[REFERENCE_LOSS]!),
  divergence: (means) => means[DIVERGENCE]!,
  deltaP: (means) => means[DELTA]!,
  rootMeanSquare: (means) => Math.sqrt(means[SQUARE]!),
  agreement: (means) => means[AGREES]!,
} satisfies Record<string, Figure>;

function windowSums({ loss, comparison }: PositionScores): WindowSums {
  const sum = (values: ArrayLike<number>): number =>
    Array.from(values).reduce((total, value) => total + value, 0);
  const positions = loss.length;
  if (comparison === undefined) return { positions, sums: [sum(loss)] };
  const { referenceLoss, divergence, agrees } = comparison;
  const delta = deltaP(loss, referenceLoss);
  const squares = delta.map((value) => value * value);
  return {
    positions,
    sums: [loss, referenceLoss, divergence, delta, squares, agrees].map(sum),
  };
}

function compare(
  loss: Float64Array,
  { referenceLoss, divergence, bounds, agrees }: NonNullable<PositionScores["comparison"]>,
  intervals: Intervals<keyof typeof COMPARISON_FIGURES> | undefined,
): Comparison {
  const [mean, referenceMean] = [meanOf(loss), meanOf(referenceLoss)];
  const covariance = covarianceOfMeans(loss, referenceLoss);
  const logRatio: Mean = {
    value: mean.value - referenceMean.value,
    error: differenceError(mean.error, referenceMean.error, covariance),
  };
  const [perplexity, referencePerplexity] = [exponential(mean), exponential(referenceMean)];
  const difference: Mean = {
    value: perplexity.value - referencePerplexity.value,
    error: differenceError(
      perplexity.error,
      referencePerplexity.error,
      perplexity.value * referencePerplexity.value * covariance,
    ),
  };
  const deviations = mean.error * referenceMean.error;
  const delta = deltaP(loss, referenceLoss);
  const agreeing = agrees.reduce((count, agreed) => count + agreed, 0);
  return {
    referencePerplexity: withInterval(referencePerplexity, intervals?.referencePerplexity),
    perplexityRatio: withInterval(exponential(logRatio), intervals?.perplexityRatio),
    logPerplexityRatio: withInterval(logRatio, intervals?.logPerplexityRatio),
    perplexityDifference: withInterval(difference, intervals?.perplexityDifference),
    ...(deviations > 0 ? { correlation: covariance / deviations } : {}),
    divergence: {
      mean: withInterval(meanOf(divergence), intervals?.divergence),
      ...spreadOf(divergence, DIVERGENCE_PERCENTS),
      histogram: divergenceHistogram(divergence),
      ...(bounds === undefined ? {} : { bounds: [meanOf(bounds.low).value, meanOf(bounds.high).value] }),
    },
    deltaP: {
      mean: withInterval(meanOf(delta), intervals?.deltaP),
      rootMeanSquare: withInterval(rootMeanSquareOf(delta), intervals?.rootMeanSquare),
      ...spreadOf(delta, DELTA_PERCENTS),
    },
    agreement: withInterval(shareOf(agreeing, agrees.length), intervals?.agreement),
  };
}

function withInterval({ value, error }: Mean, interval: Estimate["interval"]): Estimate {
  return { value, error, ...(interval === undefined ? {} : { interval }) };
}

/** Probability of the right token less that of the reference. */
function deltaP(loss: Float64Array, referenceLoss: Float64Array): Float64Array {
  return loss.map((value, index) => Math.exp(-value) - Math.exp(-referenceLoss[index]!));
}

function exponential({ value, error }: Mean): Mean {
  return { value: Math.exp(value), error: Math.exp(value) * error };
}

/** Of the difference of two figures; rounding may leave less than nothing under the root. */
function differenceError(a: number, b: number, covariance: number): number {
  return Math.sqrt(Math.max(a * a + b * b - 2 * covariance, 0));
}
