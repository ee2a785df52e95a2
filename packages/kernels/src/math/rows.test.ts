import { beforeAll, describe, expect, it } from "vitest";
import type { Activation, Kernels } from "../index.ts";
import { sameBits, gaussian, relativeError } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";
import { complementaryErrorFunction } from "../testing/reference-math.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

const SHAPES = [
  [0, 5],
  [1, 1],
  [3, 7],
  [2, 31],
  [5, 33],
  [2, 1025],
] as const;

function rowsOf(x: Float32Array, columns: number): number[][] {
  return Array.from({ length: x.length / columns }, (_, row) => [
    ...x.subarray(row * columns, (row + 1) * columns),
  ]);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Runs on every instruction set, in place and not, which must all agree to the bit. */
function everywhere(x: Float32Array, run: (math: Kernels["math"], x: Float32Array, y: Float32Array) => void) {
  const results = all.flatMap(({ math }) => {
    const y = new Float32Array(x.length).fill(NaN);
    run(math, x, y);
    const inPlace = x.slice();
    run(math, inPlace, inPlace);
    return [y, inPlace];
  });
  for (const result of results) expect(sameBits(result, results[0]!)).toBe(true);
  return results[0]!;
}

describe("rmsNorm and layerNorm", () => {
  for (const [rows, columns] of SHAPES) {
    it(`normalize ${rows} x ${columns}`, () => {
      const x = gaussian(rows * columns, 1).map((value) => value * 30 + 4);
      const weight = gaussian(columns, 2);
      const bias = gaussian(columns, 3);
      const epsilon = 1e-5;
      const shape = { rows, columns, epsilon };

      const squares = rowsOf(x, columns).map((row) => mean(row.map((value) => value ** 2)));
      const wantedRms = rowsOf(x, columns).flatMap((row, r) =>
        row.map((value, i) => (value / Math.sqrt(squares[r]! + epsilon)) * weight[i]!),
      );
      const rms = everywhere(x, (math, from, y) => math.rmsNorm({ ...shape, x: from, y, weight }));
      expect(relativeError(rms, wantedRms, 1e-6)).toBeLessThan(4e-7);

      const wantedLayer = rowsOf(x, columns).flatMap((row) => {
        const middle = mean(row);
        const variance = mean(row.map((value) => (value - middle) ** 2));
        return row.map(
          (value, i) => ((value - middle) / Math.sqrt(variance + epsilon)) * weight[i]! + bias[i]!,
        );
      });
      const layer = everywhere(x, (math, from, y) => math.layerNorm({ ...shape, x: from, y, weight, bias }));
      expect(relativeError(layer, wantedLayer, columns === 1 ? 0.01 : 1)).toBeLessThan(3e-6);
    });
  }

  it("do without weight and bias", () => {
    const x = Float32Array.of(3, 4, 0, 0);
    const rms = everywhere(x, (math, from, y) =>
      math.rmsNorm({ x: from, y, rows: 1, columns: 4, epsilon: 0 }),
    );
    expect([...rms]).toEqual([1.2, 1.6, 0, 0].map(Math.fround));
    const layer = everywhere(x, (math, from, y) =>
      math.layerNorm({ x: from, y, rows: 2, columns: 2, epsilon: 0.25 }),
    );
    expect([...layer]).toEqual([-0.5 / Math.SQRT1_2, 0.5 / Math.SQRT1_2, 0, 0].map(Math.fround));
  });
});

describe("softmax and logSumExp", () => {
  for (const [rows, columns] of SHAPES) {
    it(`add up over ${rows} x ${columns}`, () => {
      const x = gaussian(rows * columns, 4).map((value) => value * 20);
      const wanted = rowsOf(x, columns).map((row) => {
        const largest = Math.max(...row);
        return largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
      });
      const sums = all.map(({ math }) => math.logSumExp({ x, rows, columns }));
      expect(relativeError(sums[0]!, wanted, 1)).toBeLessThan(1e-7);
      for (const sum of sums) expect(sameBits(sum, sums[0]!)).toBe(true);

      const probabilities = rowsOf(x, columns).flatMap((row, r) =>
        row.map((value) => Math.exp(value - wanted[r]!)),
      );
      const softmax = everywhere(x, (math, from, y) => math.softmax({ x: from, y, rows, columns }));
      // Differences from the largest element are rounded to F32: those of 64 to 128 to 2^-18.
      expect(relativeError(softmax, probabilities, 1e-30)).toBeLessThan(5e-6);
    });
  }

  it("keep to rows with NaN and infinities", () => {
    const x = Float32Array.of(1, NaN, 0, 0, -Infinity, 0, Infinity, 0, -Infinity, -Infinity);
    const shape = { rows: 5, columns: 2 };
    const softmax = everywhere(x, (math, from, y) => math.softmax({ ...shape, x: from, y }));
    expect([...softmax]).toEqual([NaN, NaN, 0.5, 0.5, 0, 1, NaN, NaN, NaN, NaN]);
    for (const { math } of all) {
      expect([...math.logSumExp({ ...shape, x })]).toEqual([NaN, Math.LN2, 0, Infinity, -Infinity]);
    }
  });
});

const gelu = (x: number): number => (x / 2) * complementaryErrorFunction(-x / Math.SQRT2);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** What each gives, and how far off it may be, as a part of the result. */
const ACTIVATIONS: Readonly<Record<Activation, readonly [(x: number) => number, number]>> = {
  silu: [(x) => x * sigmoid(x), 5e-7],
  gelu: [gelu, 6e-6],
  "gelu-tanh": [(x) => x * sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)), 6e-6],
  "gelu-quick": [(x) => x * sigmoid(1.702 * x), 2e-6],
  relu: [(x) => Math.max(x, 0), 0],
  "relu-squared": [(x) => Math.max(x, 0) ** 2, 1e-7],
  sigmoid: [sigmoid, 5e-7],
  tanh: [Math.tanh, 4e-7],
};

describe("activate", () => {
  const x = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 250);

  for (const [kind, [wanted, tolerance]] of Object.entries(ACTIVATIONS)) {
    it(`gives ${kind}, also times up`, () => {
      const found = everywhere(x, (math, from, y) => math.activate({ kind: kind as Activation, x: from, y }));
      expect(relativeError(found, [...x].map(wanted), 1e-30)).toBeLessThanOrEqual(tolerance);
      const up = gaussian(x.length, 6);
      const gated = everywhere(x, (math, from, y) =>
        math.activate({ kind: kind as Activation, x: from, y, up }),
      );
      expect(
        sameBits(
          gated,
          found.map((value, i) => Math.fround(value * up[i]!)),
        ),
      ).toBe(true);
    });

    it(`gives the limits of ${kind}`, () => {
      const limits = Float32Array.of(NaN, 200, -200, 1e30, -1e30, 0, 1e-30);
      const found = everywhere(limits, (math, from, y) =>
        math.activate({ kind: kind as Activation, x: from, y }),
      );
      const finite = [...limits].map((value) =>
        value > 1e20 && kind === "relu-squared" ? Infinity : wanted(value),
      );
      expect(found[0]).toBeNaN();
      expect(relativeError(found.subarray(1), finite.slice(1).map(Math.fround), 1e-40)).toBeLessThan(3e-7);
    });
  }

  it("stops at count", () => {
    for (const { math } of all) {
      const y = Float32Array.of(-1, -2, -3);
      math.activate({ kind: "relu", x: Float32Array.of(1, 2, 3), y, count: 2 });
      expect([...y]).toEqual([1, 2, -3]);
    }
  });
});

describe("addScaled and addBias", () => {
  it("add", () => {
    for (const { math } of all) {
      const y = Float32Array.from({ length: 35 }, (_, i) => i);
      math.addScaled({ x: new Float32Array(35).fill(2), y, alpha: 0.5 });
      expect([...y]).toEqual(Array.from({ length: 35 }, (_, i) => i + 1));
      math.addScaled({ x: Float32Array.of(10), y });
      math.addBias({ y, bias: Float32Array.of(0, 1, 2, 3, 4), rows: 7, columns: 5 });
      expect([...y]).toEqual(Array.from({ length: 35 }, (_, i) => i + 1 + (i % 5) + (i === 0 ? 10 : 0)));
    }
  });
});
