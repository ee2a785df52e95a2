import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bootstrapIntervals } from "./bootstrap.ts";
import { covarianceOfMeans, meanOf, rootMeanSquareOf, shareOf } from "./estimate.ts";
import { divergenceHistogram } from "./histogram.ts";
import { compareLogits, summarizeLogits } from "./score-logits.ts";
import { percentileOf, spreadOf } from "./spread.ts";

const logit = fc.float({ min: -60, max: 60, noNaN: true });
const rows = fc
  .integer({ min: 1, max: 60 })
  .chain((length) =>
    fc.tuple(...[0, 1].map(() => fc.array(logit, { minLength: length, maxLength: length }))),
  );

/** Probabilities and the divergence, by the definitions. */
function naive(
  reference: readonly number[],
  model: readonly number[],
): { p: number[]; q: number[]; kld: number } {
  const softmax = (logits: readonly number[]): number[] => {
    const sum = logits.reduce((total, value) => total + Math.exp(value), 0);
    return logits.map((value) => Math.exp(value) / sum);
  };
  const [p, q] = [softmax(reference), softmax(model)];
  const kld = p.reduce((sum, value, index) => sum + value * (Math.log(value) - Math.log(q[index]!)), 0);
  return { p, q, kld };
}

describe("logits", () => {
  it("have the probabilities and the divergence of the definitions", () => {
    fc.assert(
      fc.property(rows, ([reference, model]) => {
        const [a, b] = [Float32Array.from(reference!), Float32Array.from(model!)];
        const expected = naive([...a], [...b]);
        const compared = compareLogits(a, b);
        expect(compared.divergence).toBeGreaterThanOrEqual(0);
        expect(compared.divergence).toBeCloseTo(expected.kld, 9);
        for (const [summary, logits, probabilities] of [
          [compared.reference, a, expected.p],
          [compared.model, b, expected.q],
        ] as const) {
          expect(summary).toEqual(summarizeLogits(logits));
          expect(summary.top).toBe(logits.indexOf(Math.max(...logits)));
          for (const [token, value] of logits.entries()) {
            expect(Math.exp(value - summary.logSum)).toBeCloseTo(probabilities[token]!, 12);
          }
        }
      }),
    );
  });

  it("diverge as computed by hand", () => {
    // p = (1/2, 1/2), q = (1/4, 3/4): KLD = 1/2 ln(2) + 1/2 ln(2/3) = ln 2 - ln(3)/2.
    const { divergence } = compareLogits(Float32Array.of(0, 0), Float32Array.of(Math.log(1), Math.log(3)));
    expect(divergence).toBeCloseTo(Math.log(2) - Math.log(3) / 2, 7);
  });

  it("do not diverge from themselves, however large, and tell the smallest differences", () => {
    const logits = Float32Array.from({ length: 50_000 }, (_, token) => 900 + 8 * Math.sin(token * token));
    expect(compareLogits(logits, logits).divergence).toBe(0);
    // For p = q + d, KLD is about the variance of d under p, over two: here d is 2^-9 on half the probability.
    const near = logits.map((value, token) => value + (token % 2 === 0 ? 2 ** -9 : 0));
    const { logSum } = summarizeLogits(logits);
    const probabilities = Array.from(logits, (value) => Math.exp(value - logSum));
    const even = probabilities.reduce((share, p, token) => share + (token % 2 === 0 ? p : 0), 0);
    expect(compareLogits(logits, near).divergence / ((2 ** -18 / 2) * even * (1 - even))).toBeCloseTo(1, 2);
  });

  it("show what is not finite", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const broken = Float32Array.of(1, value, 2);
      expect(Number.isFinite(summarizeLogits(broken).logSum)).toBe(false);
      expect(Number.isFinite(compareLogits(broken, Float32Array.of(1, 2, 3)).reference.logSum)).toBe(false);
      expect(Number.isFinite(compareLogits(Float32Array.of(1, 2, 3), broken).model.logSum)).toBe(false);
    }
  });
});

describe("estimates", () => {
  it("have the errors of llama-perplexity", () => {
    const values = fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(values, (list) => {
        const [count, sum] = [list.length, list.reduce((total, value) => total + value, 0)];
        const squares = list.reduce((total, value) => total + value * value, 0);
        const variance = Math.max(squares / count - (sum / count) ** 2, 0);
        const { value, error } = meanOf(Float64Array.from(list));
        expect(value).toBeCloseTo(sum / count, 9);
        expect(error ** 2).toBeCloseTo(variance / (count - 1), 9);
      }),
    );
  });

  it("are right for cases made by hand", () => {
    // Mean 2, variance 2/3, over n - 1 = 2.
    expect(meanOf(Float64Array.of(1, 2, 3))).toEqual({ value: 2, error: Math.sqrt(1 / 3) });
    expect(covarianceOfMeans(Float64Array.of(1, 2, 3), Float64Array.of(5, 3, 1))).toBeCloseTo(-2 / 3, 12);
    // Mean square 25/2, its error 25/2; sqrt(12.5) and 12.5 / (2 sqrt(12.5)).
    const { value, error } = rootMeanSquareOf(Float64Array.of(0, -5));
    expect(value).toBeCloseTo(3.5355339, 6);
    expect(error).toBeCloseTo(1.767767, 6);
    expect(shareOf(1, 5)).toEqual({ value: 0.2, error: 0.2 });
    expect(meanOf(Float64Array.of(7))).toEqual({ value: 7, error: 0 });
    expect(rootMeanSquareOf(Float64Array.of(0, 0))).toEqual({ value: 0, error: 0 });
  });
});

describe("spreads", () => {
  it("interpolate between the nearest values", () => {
    const sorted = Float64Array.of(1, 2, 4, 8, 16);
    for (const [percent, value] of [
      [0, 1],
      [25, 2],
      [50, 4],
      [90, 12.8],
      [95, 14.4],
      [100, 16],
    ] as const) {
      expect(percentileOf(sorted, percent)).toBeCloseTo(value, 12);
    }
  });

  it("have percentiles from 100 positions on", () => {
    const values = Float64Array.from({ length: 101 }, (_, index) => 100 - index);
    expect(spreadOf(values, [1, 99.5])).toEqual({
      median: 50,
      minimum: 0,
      maximum: 100,
      percentiles: [
        { percent: 1, value: 1 },
        { percent: 99.5, value: 99.5 },
      ],
    });
    expect(spreadOf(values.subarray(0, 99), [50]).percentiles).toEqual([]);
  });
});

describe("histograms", () => {
  it("count every value where it belongs", () => {
    const value = fc.oneof(
      fc.double({ min: 0, max: 200, noNaN: true }),
      fc.integer({ min: -10, max: 3 }).map((e) => 10 ** e),
    );
    fc.assert(
      fc.property(fc.array(value), (list) => {
        const { edges, counts, below, above } = divergenceHistogram(Float64Array.from(list));
        expect(counts).toEqual(
          edges.slice(1).map((edge, bin) => list.filter((x) => x >= edges[bin]! && x < edge).length),
        );
        expect(below).toBe(list.filter((x) => x < edges[0]!).length);
        expect(above).toBe(list.filter((x) => x >= edges.at(-1)!).length);
      }),
    );
  });

  it("count the edges themselves in the bins that they begin", () => {
    const { edges } = divergenceHistogram(new Float64Array());
    const { counts, below, above } = divergenceHistogram(Float64Array.from(edges));
    expect(edges[0]).toBe(1e-8);
    expect(edges.at(-1)).toBe(100);
    expect(new Set(counts)).toEqual(new Set([1]));
    expect([below, above]).toEqual([0, 1]);
  });
});

describe("the bootstrap", () => {
  const confidence = { level: 0.95, resamples: 2000, seed: 7 };
  const figures = { mean: (means: Float64Array) => means[0]! };
  const windows = Array.from({ length: 200 }, (_, index) => ({ positions: 10, sums: [10 * (index % 2)] }));

  it("finds the interval of a mean that is known", () => {
    // 200 windows of 0 or 1 at even odds: the error of the mean is 0.5 / sqrt(200) = 0.0354.
    const { mean } = bootstrapIntervals({ groups: [windows], figures, confidence })!;
    expect(mean[0]).toBeGreaterThan(0.5 - 1.96 * 0.0354 - 0.01);
    expect(mean[0]).toBeLessThan(0.5 - 1.96 * 0.0354 + 0.01);
    expect(mean[1]).toBeGreaterThan(0.5 + 1.96 * 0.0354 - 0.01);
    expect(mean[1]).toBeLessThan(0.5 + 1.96 * 0.0354 + 0.01);
  });

  it("draws from each domain by itself", () => {
    const groups = [0, 1].map((rest) => windows.filter((_, index) => index % 2 === rest));
    expect(bootstrapIntervals({ groups, figures, confidence })).toEqual({ mean: [0.5, 0.5] });
  });

  it("is the same for the same seed, and another for another", () => {
    const run = (seed: number) =>
      bootstrapIntervals({ groups: [windows], figures, confidence: { ...confidence, seed } });
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  it("says nothing of a single window", () => {
    expect(bootstrapIntervals({ groups: [windows.slice(0, 1)], figures, confidence })).toBeUndefined();
  });
});
