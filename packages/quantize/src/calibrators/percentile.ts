import { QuernError } from "@quern/tensor";
import type { Calibrator, WeightedValues } from "./calibrator.ts";

/**
 * The range that holds a share of the values, as many of the rest below it as above: from quantile (1 - share) / 2 to quantile
 * (1 + share) / 2. A quantile is the smallest value that has at least that share of the weight at or below it. Where no value is
 * negative (magnitudes), the range begins with 0 and all of the rest is above.
 */
export function percentile({ share = 0.9999 }: { readonly share?: number } = {}): Calibrator {
  if (!(share > 0 && share <= 1)) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      `the share of values in the range must be above 0 and at most 1, not ${share}`,
    );
  }
  return {
    name: "percentile",
    fewestValues: 2,
    range({ batches }) {
      const sorted = sortedWithSums(batches);
      if (sorted.values[0]! >= 0) return { low: 0, high: quantile(sorted, share) };
      return { low: quantile(sorted, (1 - share) / 2), high: quantile(sorted, (1 + share) / 2) };
    },
  };
}

interface SortedValues {
  readonly values: Float64Array;
  /** Weight of a value and all before it. */
  readonly sums: Float64Array;
}

function sortedWithSums(batches: readonly WeightedValues[]): SortedValues {
  const pairs = batches.flatMap(({ values, weights }) =>
    Array.from(values, (value, i) => [value, weights ? weights[i]! : 1] as const),
  );
  const counted = pairs.filter(([, weight]) => weight > 0);
  const used = (counted.length > 0 ? counted : pairs.map(([value]) => [value, 1] as const)).sort(
    ([a], [b]) => a - b,
  );
  let sum = 0;
  return {
    values: Float64Array.from(used, ([value]) => value),
    sums: Float64Array.from(used, ([, weight]) => (sum += weight)),
  };
}

function quantile({ values, sums }: SortedValues, share: number): number {
  // Sums of counts times a share may be off by a rounding, which must not move a quantile by one value.
  const wanted = share * sums.at(-1)! * (1 - 2 ** -50);
  const index = sums.findIndex((sum) => sum >= wanted);
  return values[index]!;
}
