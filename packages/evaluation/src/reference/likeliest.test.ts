import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareLogits, summarizeLogits } from "../measures/score-logits.ts";
import { compareWithLikeliest } from "./compare-with-likeliest.ts";
import { type LikeliestTokens, likeliestTokens } from "./likeliest-tokens.ts";

const logit = fc.oneof(fc.float({ min: -20, max: 20, noNaN: true }), fc.constantFrom(0, 1, 1, 2));
const rows = fc.integer({ min: 1, max: 80 }).chain((length) =>
  fc.tuple(
    fc.float32Array({ minLength: length, maxLength: length, min: -20, max: 20, noNaN: true }),
    fc.array(logit, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values)),
    fc.integer({ min: 1, max: 90 }),
  ),
);

function keep(logits: Float32Array, count: number): LikeliestTokens {
  return likeliestTokens({ logits, summary: summarizeLogits(logits), count });
}

/** Logits whose probabilities fall off like those of words, in the order of a hash; the model's differ a little. */
function trainedLogits(vocabulary: number, seed: number, noise: number): [Float32Array, Float32Array] {
  const random = (token: number, salt: number): number => {
    const value = Math.sin((token + 1) * 12.9898 + salt * 78.233 + seed) * 43758.5453;
    return value - Math.floor(value);
  };
  const reference = Float32Array.from(
    { length: vocabulary },
    (_, token) => -1.3 * Math.log(1 + vocabulary * random(token, 1)) + random(token, 2),
  );
  const gaussian = (token: number): number =>
    Math.sqrt(-2 * Math.log(1 - random(token, 3))) * Math.cos(2 * Math.PI * random(token, 4));
  return [reference, reference.map((value, token) => value + noise * gaussian(token))];
}

describe("the most likely tokens", () => {
  it("are the first in the order of probability, and the rest is in the tail", () => {
    fc.assert(
      fc.property(rows, ([, logits, count]) => {
        const { logSum } = summarizeLogits(logits);
        const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
        const kept = keep(logits, count);
        expect(kept.tokens).toEqual(order.slice(0, count));
        const p = (token: number): number => Math.exp(logits[token]! - logSum);
        const tail = order.slice(count);
        const mass = tail.reduce((sum, token) => sum + p(token), 0);
        expect(kept.tailMass).toBeCloseTo(mass, 12);
        const mean = tail.reduce((sum, token) => sum + p(token) * (logits[token]! - logSum), 0) / (mass || 1);
        expect(kept.tailLogProbability).toBeCloseTo(mean, 9);
      }),
    );
  });

  it("bound the divergence", () => {
    fc.assert(
      fc.property(rows, ([reference, model, count]) => {
        const exact = compareLogits(reference, model).divergence;
        const { value, low, high } = compareWithLikeliest({
          reference: keep(reference, count),
          logits: model,
          summary: summarizeLogits(model),
        });
        expect(low).toBeLessThanOrEqual(exact + 1e-9);
        expect(high).toBeGreaterThanOrEqual(exact - 1e-9);
        expect(value).toBeGreaterThanOrEqual(low);
        expect(value).toBeLessThanOrEqual(high);
      }),
    );
  });

  it("give the divergence itself when they are all", () => {
    const [reference, model] = trainedLogits(300, 1, 0.3);
    const { value, low, high } = compareWithLikeliest({
      reference: keep(reference, 300),
      logits: model,
      summary: summarizeLogits(model),
    });
    expect([low, high]).toEqual([value, value]);
    expect(value).toBeCloseTo(compareLogits(reference, model).divergence, 12);
  });

  it.each([0.01, 0.1, 0.5])("estimate the mean divergence of noise of %d within 1 percent", (noise) => {
    const sums = { exact: 0, value: 0, low: 0, tail: 0 };
    const positions = 40;
    for (let seed = 0; seed < positions; seed++) {
      const [reference, model] = trainedLogits(16_000, seed, noise);
      const kept = keep(reference, 256);
      const estimate = compareWithLikeliest({
        reference: kept,
        logits: model,
        summary: summarizeLogits(model),
      });
      sums.exact += compareLogits(reference, model).divergence;
      sums.value += estimate.value;
      sums.low += estimate.low;
      sums.tail += kept.tailMass;
    }
    expect(sums.tail / positions).toBeGreaterThan(0.05);
    expect(sums.low / sums.exact).toBeLessThan(0.95);
    expect(Math.abs(sums.value / sums.exact - 1)).toBeLessThan(0.01);
  });
});
