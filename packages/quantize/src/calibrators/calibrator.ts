import type { Range } from "../codes/code.ts";

/**
 * Chooses the range of values that codes span: of activations from what calibration saw, of weights for each tile. Values beyond it are
 * clipped.
 */
export interface Calibrator {
  readonly name: string;
  /** Fewer values than this say too little. */
  readonly fewestValues: number;
  /** The range that codes span. */
  range(observations: Observations): Range;
  /** How `range` finds it, if so: kernels can do it for many tiles at once. */
  readonly search?: RangeSearch | undefined;
}

/** The whole range times the share of it with the least error, the first one of equals. */
export interface RangeSearch {
  readonly shares: readonly number[];
  /** Exponent of errors. */
  readonly norm: number;
}

export interface Observations {
  /** In the order in which they were seen; at least one, of at least one value. */
  readonly batches: readonly WeightedValues[];
  /** Bits of the codes that are to span the range. */
  readonly bits: number;
  /** Sum of weight * |error|^norm over all values when codes span the range. */
  error(range: Range, norm: number): number;
}

/** A histogram is this, too: the middles of bins, weighted by counts. */
export interface WeightedValues {
  readonly values: Float32Array | Float64Array;
  /** Not negative. @default 1 each */
  readonly weights?: Float32Array | Float64Array | undefined;
}

/** Smallest and largest of values whose weight is not 0; of all where all weights are. */
export function rangeOf({ values, weights }: WeightedValues): Range {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i++) {
    if (weights?.[i] === 0) continue;
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  // Adding 0 makes -0 a +0.
  return low <= high ? { low: low + 0, high: high + 0 } : weights ? rangeOf({ values }) : { low: 0, high: 0 };
}

/** The range of all batches. */
export function wholeRange(batches: readonly WeightedValues[]): Range {
  return batches.map(rangeOf).reduce((whole, next) => ({
    low: Math.min(whole.low, next.low),
    high: Math.max(whole.high, next.high),
  }));
}
