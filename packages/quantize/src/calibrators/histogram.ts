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

/** Values that stand for a bin: bins of the statistics file are wider than the steps of 8 bits. */
const POINTS = 4;

/**
 * A histogram of magnitudes as values that calibrators take: some in each occupied bin, evenly spread and weighted by its count. Those of
 * the last bin end at `largest`.
 */
export function histogramValues({
  counts,
  lowerEdge,
  largest,
  signed = true,
}: MagnitudeHistogramParams): WeightedValues {
  const bins = [...counts.keys()].filter((bin) => counts[bin]! > 0);
  const values: number[] = [];
  const weights: number[] = [];
  for (const bin of bins) {
    const low = lowerEdge(bin);
    const last = bin === bins.at(-1);
    const step = ((last ? largest : lowerEdge(bin + 1)) - low) / POINTS;
    for (let point = 0; point < POINTS; point++) {
      values.push(low + (point + (last ? 1 : 0.5)) * step);
      weights.push(counts[bin]! / POINTS);
    }
  }
  if (!signed) return { values: Float64Array.from(values), weights: Float64Array.from(weights) };
  return {
    values: Float64Array.from([...values, ...values.map((value) => -value)]),
    weights: Float64Array.from([...weights, ...weights], (weight) => weight / 2),
  };
}
