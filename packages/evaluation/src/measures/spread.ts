import type { Spread } from "../report.ts";

/** Percentiles say nothing of fewer positions (llama-perplexity prints none). */
const FEWEST_POSITIONS = 100;

/** Median, extremes and percentiles of at least one value. */
export function spreadOf(values: Float64Array, percents: readonly number[]): Spread {
  const sorted = values.slice().sort();
  return {
    median: percentileOf(sorted, 50),
    minimum: sorted[0]!,
    maximum: sorted.at(-1)!,
    percentiles:
      sorted.length < FEWEST_POSITIONS
        ? []
        : percents.map((percent) => ({ percent, value: percentileOf(sorted, percent) })),
  };
}

/** Between the two values next to the place it is linear: `percentile` of llama-perplexity. */
export function percentileOf(sorted: Float64Array, percent: number): number {
  const place = (percent / 100) * (sorted.length - 1);
  const index = Math.floor(place);
  const share = place - index;
  return (1 - share) * sorted[index]! + share * sorted[Math.min(index + 1, sorted.length - 1)]!;
}
