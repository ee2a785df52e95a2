import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { MAGNITUDE_BINS, lowerEdgeOfBin } from "../index.ts";
import type { Kernels } from "../index.ts";
import { sameBits, gaussian } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

function emptyStatistics(columns: number) {
  return {
    sum: new Float64Array(columns),
    sumOfSquares: new Float64Array(columns),
    sumOfMagnitudes: new Float64Array(columns),
    largest: new Float32Array(columns),
  };
}

/** Values of which some are huge, tiny, or zeros of either sign. */
function activations(length: number, seed: number): Float32Array {
  const special = [0, -0, 3.4e38, -1e-45, 1e-30, -7e20];
  return gaussian(length, seed).map((value, i) => (i % 11 === 3 ? special[i % special.length]! : value));
}

const shapes = fc.record({
  rows: fc.constantFrom(0, 1, 7, 8, 9, 40),
  columns: fc.constantFrom(0, 1, 3, 4, 15, 16, 17, 33, 70),
  gap: fc.constantFrom(0, 5),
});

describe("columnStatistics", () => {
  it("adds in F64 and in the order of rows, to the bit, to what there was", () => {
    fc.assert(
      fc.property(shapes, fc.nat(1000), ({ rows, columns, gap }, seed) => {
        const xStride = columns + gap;
        const x = activations(rows * xStride, seed);
        const before = emptyStatistics(columns);
        before.sum.fill(0.1);
        before.sumOfSquares.fill(0.2);
        before.sumOfMagnitudes.fill(0.3);
        before.largest.fill(1);
        const wanted = structuredClone(before);
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            const value = x[row * xStride + column]!;
            wanted.sum[column]! += value;
            wanted.sumOfSquares[column]! += value * value;
            wanted.sumOfMagnitudes[column]! += Math.abs(value);
            wanted.largest[column] = Math.max(wanted.largest[column]!, Math.abs(value));
          }
        }
        for (const { math } of all) {
          const found = structuredClone(before);
          math.columnStatistics({ x, xStride, rows, columns, ...found });
          for (const key of ["sum", "sumOfSquares", "sumOfMagnitudes", "largest"] as const) {
            expect(sameBits<Float32Array | Float64Array>(found[key], wanted[key])).toBe(true);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("does not depend on how rows and columns are divided", () => {
    const [rows, columns] = [1300, 131];
    const x = activations(rows * columns, 2);
    for (const { math } of all) {
      const whole = emptyStatistics(columns);
      math.columnStatistics({ x, rows, columns, ...whole });
      const parts = emptyStatistics(columns);
      for (const [first, end] of [
        [0, 50],
        [50, columns],
      ] as const) {
        const part = {
          sum: parts.sum.subarray(first, end),
          sumOfSquares: parts.sumOfSquares.subarray(first, end),
          sumOfMagnitudes: parts.sumOfMagnitudes.subarray(first, end),
          largest: parts.largest.subarray(first, end),
        };
        for (const [firstRow, endRow] of [
          [0, 3],
          [3, 804],
          [804, rows],
        ] as const) {
          const from = x.subarray(firstRow * columns + first);
          const shape = { xStride: columns, rows: endRow - firstRow, columns: end - first };
          math.columnStatistics({ x: from, ...shape, ...part });
        }
      }
      expect(parts).toEqual(whole);
    }
  });

  it("reads more rows than Wasm copies at a time", () => {
    const [rows, columns] = [1031, 4099];
    const x = new Float32Array(rows * columns).fill(3);
    x[(rows - 1) * columns + 5] = -4;
    for (const { math } of all) {
      const found = emptyStatistics(columns);
      math.columnStatistics({ x, rows, columns, ...found });
      expect(found.sum).toEqual(new Float64Array(columns).fill(3 * rows).fill(3 * rows - 7, 5, 6));
      expect(found.largest).toEqual(new Float32Array(columns).fill(3).fill(4, 5, 6));
      const counts = new Float64Array(MAGNITUDE_BINS);
      math.magnitudeHistogram({ x, rows, columns, counts });
      expect(counts.reduce((sum, count) => sum + count)).toBe(rows * columns);
    }
  });

  it("lets NaN spoil the sums of its column alone, and no largest magnitude", () => {
    const [rows, columns] = [10, 40];
    for (const { math } of all) {
      const x = new Float32Array(rows * columns).fill(-2);
      for (const [row, column] of [
        [4, 17],
        [9, 39],
      ] as const) {
        x[row * columns + column] = NaN;
      }
      const found = emptyStatistics(columns);
      math.columnStatistics({ x, rows, columns, ...found });
      for (const key of ["sum", "sumOfSquares", "sumOfMagnitudes"] as const) {
        expect([...found[key].keys()].filter((column) => Number.isNaN(found[key][column]))).toEqual([17, 39]);
      }
      expect(found.largest).toEqual(new Float32Array(columns).fill(2));
    }
  });
});

describe("magnitudeHistogram", () => {
  it("counts every magnitude between the edges of its bin", () => {
    fc.assert(
      fc.property(shapes, fc.nat(1000), ({ rows, columns, gap }, seed) => {
        const xStride = columns + gap;
        const x = activations(rows * xStride, seed);
        const before = Float64Array.from({ length: MAGNITUDE_BINS }, (_, bin) => 2 ** 40 + bin);
        const wanted = before.slice();
        const edges = Array.from({ length: MAGNITUDE_BINS }, (_, bin) => lowerEdgeOfBin(bin));
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            const magnitude = Math.abs(x[row * xStride + column]!);
            wanted[edges.findLastIndex((edge) => edge <= magnitude)]!++;
          }
        }
        for (const { math } of all) {
          const counts = before.slice();
          math.magnitudeHistogram({ x, xStride, rows, columns, counts });
          expect(sameBits(counts, wanted)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("counts an edge above it, and the float before it below", () => {
    const bins = Array.from({ length: MAGNITUDE_BINS - 1 }, (_, i) => i + 1);
    const bits = new Int32Array(new Float32Array(bins.map(lowerEdgeOfBin)).buffer);
    const below = new Float32Array(bits.map((value) => value - 1).buffer);
    const edges = new Float32Array(bits.buffer);
    // Edges are floats.
    expect([...edges]).toEqual(bins.map(lowerEdgeOfBin));
    for (const { math } of all) {
      const counts = new Float64Array(MAGNITUDE_BINS);
      math.magnitudeHistogram({ x: edges, rows: 1, columns: edges.length, counts });
      expect(counts).toEqual(new Float64Array(MAGNITUDE_BINS).fill(1, 1));
      math.magnitudeHistogram({ x: below.map((value) => -value), rows: 1, columns: below.length, counts });
      expect(counts).toEqual(new Float64Array(MAGNITUDE_BINS).fill(2, 1, -1).fill(1, 0, 1).fill(1, -1));
    }
  });

  it("has all small magnitudes in the first bin, and all large ones in the last", () => {
    const x = Float32Array.of(0, -0, 1e-45, 2 ** -60, 2 ** -40, 1, 2 ** 24, -3e38, Infinity);
    for (const { math } of all) {
      const counts = new Float64Array(MAGNITUDE_BINS);
      math.magnitudeHistogram({ x, rows: 3, columns: 3, counts });
      expect([counts[0], counts[40 * 32], counts.at(-1)]).toEqual([5, 1, 3]);
    }
  });
});

describe("lowerEdgeOfBin", () => {
  it("rises from 0 to infinity by at most 1/32", () => {
    expect([0, 1, 32, 40 * 32 + 16, MAGNITUDE_BINS - 1, MAGNITUDE_BINS].map(lowerEdgeOfBin)).toEqual([
      0,
      2 ** -40 * (33 / 32),
      2 ** -39,
      1.5,
      2 ** 23 * (63 / 32),
      Infinity,
    ]);
  });

  it("refuses what is no bin", () => {
    for (const bin of [-1, 0.5, MAGNITUDE_BINS + 1, NaN]) {
      expect(() => lowerEdgeOfBin(bin)).toThrow(expect.objectContaining({ code: "KERNEL_ARGUMENT" }));
    }
  });
});
