import type { WeightedValues } from "./calibrator.ts";

export interface MagnitudeHistogramParams {
  /** How many magnitudes are in each bin. */
  readonly counts: Float64Array;
  /** Where a bin begins; each ends where the next one begins. */
  readonly lowerEdge: (bin: number) => number;
  /** The largest magnitude: no value is taken to lie beyond it. */
  readonly largest: number;
  /** Whether values of both signs were counted: then half of each bin is taken to be negative. @default true */
  readonly signed?: boolean;
}

/** A histogram of magnitudes as values that calibrators take: the middles of occupied bins, weighted by counts; the last at `largest`. */
export function histogramValues({
  counts,
  lowerEdge,
  largest,
  signed = true,
}: MagnitudeHistogramParams): WeightedValues {
  const bins = [...counts.keys()].filter((bin) => counts[bin]! > 0);
  const last = bins.at(-1);
  const middles = bins.map((bin) =>
    bin === last ? largest : (lowerEdge(bin) + Math.min(lowerEdge(bin + 1), largest)) / 2,
  );
  const weights = bins.map((bin) => counts[bin]!);
  if (!signed) return { values: Float64Array.from(middles), weights: Float64Array.from(weights) };
  return {
    values: Float64Array.from([...middles, ...middles.map((value) => -value)]),
    weights: Float64Array.from([...weights, ...weights], (count) => count / 2),
  };
}
