import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parametersFor } from "../codes/code.ts";
import { uniformCode } from "../codes/uniform-code.ts";
import { floatScales } from "../scale-store.ts";
import { gaussian } from "../testing/random.ts";
import { absoluteMaximum } from "./absolute-maximum.ts";
import { calibrateRange } from "./calibrate-range.ts";
import type { Calibrator, WeightedValues } from "./calibrator.ts";
import { entropy } from "./entropy.ts";
import { histogramValues } from "./histogram.ts";
import { meanSquaredError } from "./mean-squared-error.ts";
import { minMax } from "./min-max.ts";
import { movingAverage } from "./moving-average.ts";
import { percentile } from "./percentile.ts";

const int8 = uniformCode({ bits: 8, symmetric: true, range: "restricted" });
const uint8 = uniformCode({ bits: 8, symmetric: false });
const store = floatScales("F32");
const rangeOf = (
  calibrator: Calibrator,
  batches: readonly WeightedValues[],
  code = uint8,
): { low: number; high: number } => calibrateRange({ calibrator, code, store, batches }).range;

const values = fc
  .array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 2, maxLength: 60 })
  .map((numbers) => Float32Array.from(numbers));
const batches = fc.array(values, { minLength: 1, maxLength: 4 });

describe("min-max, absolute maximum, moving average", () => {
  it("agree with their definitions", () => {
    fc.assert(
      fc.property(batches, (parts) => {
        const given = parts.map((part) => ({ values: part }));
        const all = parts.flatMap((part) => [...part]);
        const [low, high] = [Math.min(...all), Math.max(...all)];
        expect(rangeOf(minMax(), given)).toEqual({ low, high });
        const most = Math.max(Math.abs(low), Math.abs(high));
        expect(rangeOf(absoluteMaximum(), given)).toEqual({ low: 0 - most, high: most });
        let average = { low: Math.min(...parts[0]!), high: Math.max(...parts[0]!) };
        for (const part of parts.slice(1)) {
          average = {
            low: 0.9 * average.low + (1 - 0.9) * Math.min(...part),
            high: 0.9 * average.high + (1 - 0.9) * Math.max(...part),
          };
        }
        expect(rangeOf(movingAverage(), given)).toEqual(average);
      }),
    );
  });

  it("leave out values that weigh nothing", () => {
    const given = [{ values: Float32Array.of(-9, 1, 2, 7), weights: Float32Array.of(0, 1, 1, 0) }];
    expect(rangeOf(minMax(), given)).toEqual({ low: 1, high: 2 });
  });
});

describe("percentile", () => {
  it("is that of the sorted values", () => {
    fc.assert(
      fc.property(values, fc.constantFrom(0.5, 0.8, 0.9, 0.99, 1), (numbers, share) => {
        const sorted = [...numbers].sort((a, b) => a - b);
        const at = (part: number): number => sorted.find((_, i) => (i + 1) / sorted.length >= part - 1e-12)!;
        const expected =
          sorted[0]! >= 0
            ? { low: 0, high: at(share) }
            : { low: at((1 - share) / 2), high: at((1 + share) / 2) };
        expect(rangeOf(percentile({ share }), [{ values: numbers }])).toEqual(expected);
      }),
    );
  });

  it("counts weights", () => {
    const given = [{ values: Float32Array.of(1, 2, 3), weights: Float64Array.of(989, 10, 1) }];
    expect(rangeOf(percentile({ share: 0.999 }), given)).toEqual({ low: 0, high: 2 });
    expect(rangeOf(percentile({ share: 0.989 }), given)).toEqual({ low: 0, high: 1 });
  });
});

describe("mean squared error", () => {
  it("finds the least error of all ranges it tries", () => {
    const numbers = gaussian(400, 3);
    numbers[5] = 9;
    for (const [code, norm] of [
      [uniformCode({ bits: 4, symmetric: false }), 2],
      [uniformCode({ bits: 3, symmetric: true }), 2.4],
    ] as const) {
      const errors = Array.from({ length: 81 }, (_, step) => {
        const range = { low: Math.min(...numbers) * (1 - step / 100), high: 9 * (1 - step / 100) };
        const { scale, shift } = parametersFor(code, range, store);
        return numbers.reduce(
          (sum, value) =>
            sum + Math.abs(value - code.decode(code.encode(value, scale, shift), scale, shift)) ** norm,
          0,
        );
      });
      const best = errors.indexOf(Math.min(...errors));
      expect(best).toBeGreaterThan(0);
      const found = rangeOf(meanSquaredError({ norm }), [{ values: numbers }], code);
      expect(found.high).toBeCloseTo(9 * (1 - best / 100), 10);
    }
  });

  it("heeds weights", () => {
    const numbers = Float32Array.of(10, 0.1, -0.2, 0.3, -0.4, 0.25);
    const code = uniformCode({ bits: 3, symmetric: true });
    const given = (weight: number): WeightedValues[] => [
      { values: numbers, weights: Float32Array.of(weight, 1, 1, 1, 1, 1) },
    ];
    expect(rangeOf(meanSquaredError({ norm: 2 }), given(1), code).high).toBeGreaterThan(9);
    expect(rangeOf(meanSquaredError({ norm: 2 }), given(1e-6), code).high).toBeLessThan(3);
  });
});

describe("entropy", () => {
  it("keeps all of what is even, and cuts off a thin tail", () => {
    const even = Float32Array.from({ length: 8192 }, (_, i) => (i - 4095.5) / 4096);
    expect(rangeOf(entropy(), [{ values: even }], int8).high).toBeGreaterThan(0.97);
    const tailed = gaussian(20_000, 6);
    tailed[17] = 40;
    const { low, high } = rangeOf(entropy(), [{ values: tailed }], int8);
    expect(high).toBeGreaterThan(3);
    expect(high).toBeLessThan(20);
    expect(low).toBe(-high);
  });

  it("has the least divergence, found by the definition", () => {
    const counts = [40, 31, 22, 30, 9, 5, 3, 0, 2, 0, 0, 1, 0, 0, 1, 1];
    const [bins, levels] = [counts.length, 4];
    const divergence = (kept: number): number => {
      const p = counts.slice(0, kept);
      p[kept - 1]! += counts.slice(kept).reduce((a, b) => a + b, 0);
      const q = Array.from({ length: kept }, () => 0);
      for (let level = 0; level < levels; level++) {
        const own = q
          .map((_, bin) => bin)
          .slice(Math.floor((level * kept) / levels), Math.floor(((level + 1) * kept) / levels));
        const occupied = own.filter((bin) => p[bin]! > 0);
        const sum = own.reduce((total, bin) => total + counts[bin]!, 0);
        for (const bin of occupied) q[bin] = sum / occupied.length;
      }
      const [totalP, totalQ] = [p, q].map((list) => list.reduce((a, b) => a + b, 0));
      return p.reduce(
        (sum, count, bin) =>
          sum + (count > 0 ? (count / totalP!) * Math.log(count / totalP! / (q[bin]! / totalQ!)) : 0),
        0,
      );
    };
    const candidates = Array.from({ length: bins - levels + 1 }, (_, i) => levels + i);
    const best = candidates.reduce((a, b) => (divergence(b) < divergence(a) ? b : a));
    // The largest magnitude lies at the end of the last bin.
    const given = [
      {
        values: Float64Array.from([...counts.map((_, bin) => bin + 0.5), bins]),
        weights: Float64Array.from([
          ...counts.map((count, bin) => 1e3 * (bin === bins - 1 ? 0 : count)),
          1e3,
        ]),
      },
    ];
    const code = uniformCode({ bits: 3, symmetric: true });
    expect(best).toBeLessThan(bins);
    expect(rangeOf(entropy({ bins }), given, code)).toEqual({ low: 0, high: best + 0.5 });
  });

  it("needs more than a few values", () => {
    expect(() => rangeOf(entropy(), [{ values: gaussian(100, 1) }])).toThrow(
      expect.objectContaining({ code: "QUANTIZE_TOO_FEW_VALUES" }),
    );
  });
});

describe("histograms of magnitudes", () => {
  const lowerEdge = (bin: number): number =>
    bin === 0 ? 0 : 2 ** (Math.floor(bin / 32) - 40) * (1 + (bin % 32) / 32);

  it("give about the ranges of the values themselves", () => {
    const numbers = gaussian(50_000, 9);
    const largest = Math.max(...numbers.map(Math.abs));
    const counts = new Float64Array(2048);
    for (const value of numbers) {
      const magnitude = Math.abs(value);
      const exponent = Math.floor(Math.log2(magnitude));
      counts[(exponent + 40) * 32 + Math.floor((magnitude / 2 ** exponent - 1) * 32)]!++;
    }
    const histogram = [histogramValues({ counts, lowerEdge, largest })];
    for (const calibrator of [
      minMax(),
      percentile({ share: 0.999 }),
      meanSquaredError({ norm: 2 }),
      entropy(),
    ]) {
      const found = rangeOf(calibrator, histogram, int8).high;
      const range = rangeOf(calibrator, [{ values: numbers }], int8);
      const wanted = Math.max(-range.low, range.high);
      expect(Math.abs(found / wanted - 1)).toBeLessThan(calibrator.name === "entropy" ? 0.15 : 0.05);
    }
    expect(rangeOf(minMax(), histogram)).toEqual({ low: -largest, high: largest });
    const unsigned = histogramValues({ counts, lowerEdge, largest, signed: false });
    expect(rangeOf(minMax(), [unsigned]).low).toBeGreaterThanOrEqual(0);
  });
});

it("refuses options that make no sense", () => {
  for (const make of [
    () => percentile({ share: 0 }),
    () => movingAverage({ momentum: 1 }),
    () => meanSquaredError({ steps: 0 }),
    () => entropy({ bins: 1.5 }),
  ]) {
    expect(make).toThrow(expect.objectContaining({ code: "QUANTIZE_OPTION" }));
  }
});
