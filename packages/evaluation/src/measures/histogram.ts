import type { Histogram } from "../report.ts";

const LOWEST_DECADE = -8;
const DECADES = 10;
const BINS_PER_DECADE = 8;

/** From 10^-8 to 10^2, the same in every report, so that reports can be laid over each other. */
const EDGES: readonly number[] = Array.from(
  { length: DECADES * BINS_PER_DECADE + 1 },
  (_, index) => 10 ** (LOWEST_DECADE + index / BINS_PER_DECADE),
);

/** Counts divergences by size, eight bins to a power of ten. */
export function divergenceHistogram(values: Float64Array): Histogram {
  const counts = Array.from({ length: EDGES.length - 1 }, () => 0);
  let [below, above] = [0, 0];
  for (const value of values) {
    const bin = binOf(value);
    if (bin < 0) below += 1;
    else if (bin >= counts.length) above += 1;
    else counts[bin]! += 1;
  }
  return { edges: EDGES, counts, below, above };
}

function binOf(value: number): number {
  if (value < EDGES[0]!) return -1;
  const guess = Math.floor((Math.log10(value) - LOWEST_DECADE) * BINS_PER_DECADE);
  // The logarithm of an edge may be a little less or more than it was made from.
  if (value < EDGES[guess]!) return guess - 1;
  return value >= EDGES[guess + 1]! ? guess + 1 : guess;
}
