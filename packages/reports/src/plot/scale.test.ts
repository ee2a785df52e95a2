import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linearScale, logScale, tightLogScale } from "./scale.ts";

const range = [10, 110] as const;

describe("linearScale", () => {
  it("has ticks at even steps that span the domain", () => {
    expect(linearScale({ domain: [0.3, 9.2], range, count: 5 }).ticks).toEqual([0, 2, 4, 6, 8, 10]);
    expect(linearScale({ domain: [0, 0.074], range, count: 5 }).ticks).toEqual([0, 0.02, 0.04, 0.06, 0.08]);
    const scale = linearScale({ domain: [0.3, 9.2], range, count: 5 });
    expect([scale.at(0), scale.at(5), scale.at(10)]).toEqual([10, 60, 110]);
  });
});

describe("logScale", () => {
  it("has ticks at round numbers that span the domain", () => {
    expect(logScale({ domain: [0.006, 0.3], range }).ticks).toEqual([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]);
    expect(logScale({ domain: [1e-8, 1], range, count: 4 }).ticks).toEqual([1e-8, 1e-6, 1e-4, 0.01, 1]);
    const scale = logScale({ domain: [0.01, 1], range });
    expect([scale.at(0.01), scale.at(0.1), scale.at(1)]).toEqual([10, 60, 110]);
  });

  it("can end where the domain does", () => {
    const scale = tightLogScale({ domain: [0.006, 0.3], range });
    expect(scale.ticks).toEqual([0.01, 0.02, 0.05, 0.1, 0.2]);
    expect([scale.at(0.006), scale.at(0.3)]).toEqual([10, 110]);
  });
});

it("keeps every value of any domain in range, and in order", () => {
  const positive = fc.double({ min: 1e-90, max: 1e90, noNaN: true });
  fc.assert(
    fc.property(positive, positive, fc.constantFrom(linearScale, logScale), (a, b, makeScale) => {
      const domain = [Math.min(a, b), Math.max(a, b)] as const;
      const scale = makeScale({ domain, range });
      const [low, high] = domain.map(scale.at) as [number, number];
      expect(low).toBeGreaterThanOrEqual(range[0] - 1e-6);
      expect(high).toBeLessThanOrEqual(range[1] + 1e-6);
      expect(low).toBeLessThanOrEqual(high);
      expect(scale.ticks.length).toBeLessThan(30);
    }),
    { numRuns: 1000 },
  );
});

it("spans something, where the domain does not", () => {
  for (const value of [0, 1, 1e-200]) {
    const { ticks, at } = linearScale({ domain: [value, value], range });
    expect(ticks.length).toBeLessThan(30);
    expect(at(value)).toBeGreaterThanOrEqual(range[0] - 1e-6);
  }
});
