import { describe, expect, it } from "vitest";
import type { PositionScores } from "./position-scores.ts";
import { summarizeScores } from "./summarize-scores.ts";

const confidence = { level: 0.95, resamples: 500, seed: 1 };

/** Scores of windows with losses that vary, and a reference that is a little better. */
function windows(count: number, positions: number, shift: number): PositionScores[] {
  return Array.from({ length: count }, (_, window) => {
    const at = <T extends Float64Array | Uint8Array>(array: T, value: (index: number) => number): T =>
      array.map((_, index) => value(window * positions + index)) as T;
    const loss = at(new Float64Array(positions), (index) => 3 + Math.sin(index * 1.7 + shift));
    return {
      loss,
      comparison: {
        referenceLoss: at(new Float64Array(positions), (index) => 2.9 + Math.sin(index * 1.7 + shift + 0.05)),
        divergence: at(new Float64Array(positions), (index) => 0.01 * (1 + Math.cos(index)) ** 2),
        agrees: at(new Uint8Array(positions), (index) => (index % 7 === 0 ? 0 : 1)),
      },
    };
  });
}

/** Sums as llama-perplexity adds them up (kl_divergence in tools/perplexity/perplexity.cpp). */
function llamaStatistics(scores: readonly PositionScores[]) {
  const loss = scores.flatMap((part) => [...part.loss]);
  const base = scores.flatMap((part) => [...part.comparison!.referenceLoss]);
  const kld = scores.flatMap((part) => [...part.comparison!.divergence]);
  const delta = loss.map((value, index) => Math.exp(-value) - Math.exp(-base[index]!));
  const n = loss.length;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const mean = (values: readonly number[]): [number, number] => {
    const f = sum(values) / n;
    return [f, Math.sqrt((sum(values.map((value) => value * value)) / n - f * f) / (n - 1))];
  };
  const covariance =
    (sum(loss.map((value, index) => value * base[index]!)) / n - (sum(loss) / n) * (sum(base) / n)) / (n - 1);
  const [[logPpl, logError], [logBase, baseError]] = [mean(loss), mean(base)];
  const [ppl, pplBase] = [Math.exp(logPpl), Math.exp(logBase)];
  const ratioError = Math.sqrt(logError ** 2 + baseError ** 2 - 2 * covariance);
  const [square, squareError] = mean(delta.map((value) => value * value));
  return {
    perplexity: [ppl, ppl * logError],
    referencePerplexity: [pplBase, pplBase * baseError],
    correlation: covariance / (logError * baseError),
    logPerplexityRatio: [logPpl - logBase, ratioError],
    perplexityRatio: [Math.exp(logPpl - logBase), Math.exp(logPpl - logBase) * ratioError],
    perplexityDifference: [
      ppl - pplBase,
      Math.sqrt((ppl * logError) ** 2 + (pplBase * baseError) ** 2 - 2 * ppl * pplBase * covariance),
    ],
    divergence: mean(kld),
    deltaP: mean(delta),
    rootMeanSquare: [Math.sqrt(square), (0.5 / Math.sqrt(square)) * squareError],
  };
}

describe("summarizeScores", () => {
  it("has the figures and errors of llama-perplexity", () => {
    const scores = windows(6, 40, 0);
    const { comparison, ...report } = summarizeScores({ name: "a", domains: [scores], confidence });
    const { correlation, ...expected } = llamaStatistics(scores);
    expect(report).toMatchObject({ name: "a", windows: 6, positions: 240 });
    const { divergence, deltaP, agreement, ...others } = comparison!;
    expect(others.correlation).toBeCloseTo(correlation, 9);
    const found = {
      ...others,
      perplexity: report.perplexity,
      divergence: divergence.mean,
      deltaP: deltaP.mean,
      rootMeanSquare: deltaP.rootMeanSquare,
    };
    for (const [name, [value, error]] of Object.entries(expected)) {
      const estimate = found[name as keyof typeof expected];
      expect(estimate.value, name).toBeCloseTo(value, 9);
      expect(estimate.error, name).toBeCloseTo(error, 9);
    }
    expect(agreement.value).toBeCloseTo(205 / 240, 12);
    expect(agreement.error).toBeCloseTo(Math.sqrt(((205 / 240) * (35 / 240)) / 239), 12);
    expect(divergence.percentiles.map(({ percent }) => percent)).toEqual([0.1, 1, 5, 10, 90, 95, 99, 99.9]);
    expect(divergence.histogram.counts.reduce((sum, count) => sum + count, divergence.histogram.below)).toBe(
      240,
    );
  });

  it("has intervals that hold the figures", () => {
    const { perplexity, comparison } = summarizeScores({
      name: "a",
      domains: [windows(30, 20, 0), windows(10, 20, 1)],
      confidence,
    });
    const { divergence, deltaP, correlation: _, ...estimates } = comparison!;
    const all = [
      perplexity,
      divergence.mean,
      deltaP.mean,
      deltaP.rootMeanSquare,
      ...Object.values(estimates),
    ];
    expect(all).toHaveLength(9);
    for (const { value, interval } of all) {
      expect(interval![0]).toBeLessThanOrEqual(value);
      expect(interval![1]).toBeGreaterThanOrEqual(value);
      expect(interval![1]).toBeGreaterThan(interval![0]);
    }
  });

  it("takes positions of all domains alike", () => {
    const [a, b] = [windows(3, 20, 0), windows(5, 20, 1)];
    const total = summarizeScores({ name: "all", domains: [a, b], confidence });
    expect(total).toMatchObject({ windows: 8, positions: 160 });
    const parts = [a, b].map((domain) => summarizeScores({ name: "", domains: [domain], confidence }));
    const log = parts.reduce(
      (sum, { perplexity, positions }) => sum + Math.log(perplexity.value) * positions,
      0,
    );
    expect(Math.log(total.perplexity.value)).toBeCloseTo(log / 160, 9);
  });

  it("has the perplexity alone where there is no reference", () => {
    const report = summarizeScores({
      name: "a",
      domains: [[{ loss: Float64Array.of(0, Math.log(4)) }]],
      confidence,
    });
    expect(report.perplexity.value).toBeCloseTo(2, 12);
    expect(report.perplexity.interval).toBeUndefined();
    expect(report.comparison).toBeUndefined();
  });

  it("has no correlation where a loss does not vary, and averages bounds", () => {
    const same = { loss: Float64Array.of(1, 1) };
    const { comparison } = summarizeScores({
      name: "a",
      domains: [
        [
          {
            ...same,
            comparison: {
              referenceLoss: same.loss,
              divergence: Float64Array.of(0.1, 0.3),
              bounds: { low: Float64Array.of(0, 0.2), high: Float64Array.of(0.2, 0.6) },
              agrees: Uint8Array.of(1, 1),
            },
          },
        ],
      ],
      confidence,
    });
    expect(comparison!.correlation).toBeUndefined();
    expect(comparison!.divergence.bounds![0]).toBeCloseTo(0.1, 12);
    expect(comparison!.divergence.bounds![1]).toBeCloseTo(0.4, 12);
    expect(JSON.stringify(comparison)).not.toContain("null");
  });
});
