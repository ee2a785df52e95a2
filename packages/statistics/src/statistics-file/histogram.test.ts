import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HISTOGRAM_BINS, percentile } from "./histogram.ts";

function histogramOf(values: readonly number[]): Float64Array {
  const counts = new Float64Array(HISTOGRAM_BINS);
  for (const value of values) counts[binOf(Math.fround(value))]! += 1;
  return counts;
}

/** The bin as the layout describes it. */
function binOf(value: number): number {
  const size = Math.abs(value);
  if (size < 2 ** -40) return 0;
  if (size >= 2 ** 24) return 2047;
  let exponent = -40;
  while (size >= 2 ** (exponent + 1)) exponent++;
  return (exponent + 40) * 32 + Math.floor((size / 2 ** exponent - 1) * 32);
}

describe("percentile", () => {
  it("is within 1/32 of the value at that place", () => {
    const values = fc.array(fc.float({ noNaN: true, min: 2 ** -20, max: 2 ** 20 }), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
        const sorted = values.map(Math.abs).sort((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
        const found = percentile({ histogram: histogramOf(values), share });
        expect(Math.abs(found / exact - 1)).toBeLessThanOrEqual(1 / 32);
      }),
    );
  });

  it("grows with the share, up to the largest value", () => {
    const histogram = histogramOf([0, 0, 1, -3, 100]);
    const most = 100;
    const found = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => percentile({ histogram, share, most }));
    expect(found).toEqual([0, 0, 0, 1 + 1 / 32, 3 + 1 / 16, 100]);
    expect(percentile({ histogram: histogramOf([1e30]), share: 0.5, most: 1e30 })).toBe(16_515_072);
  });

  it("has no value where nothing was counted", () => {
    expect(percentile({ histogram: new Float64Array(HISTOGRAM_BINS), share: 0.5 })).toBeNaN();
  });
});
