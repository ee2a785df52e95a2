// The sums of measureError against their definition, computed here.
import { describe, expect, it } from "vitest";
import type { Kernels, RowErrors } from "./index.ts";
import { allKernels, blockSize, bytesOf, rowSize, weightingsOf } from "./testing/backends.ts";
import { edgeWeights, gaussianWeights, type WeightSet } from "./testing/weights.ts";

const kernels = await allKernels();

const SHAPES = [
  [1, 256],
  [5, 1024],
  [3, 1280],
  [70, 2304],
  [1, 70_144],
] as const;

interface Rows {
  readonly sourceType: string;
  readonly source: Uint8Array;
  readonly type: string;
  readonly quantized: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly importance?: Float32Array;
}

/** Sixteen sums in single precision over 1024 columns, which take turns; they are added up in order in double precision. */
function sumInLanes(columns: number, term: (column: number) => number): number {
  let total = 0;
  for (let start = 0; start < columns; start += 1024) {
    const lanes = new Float32Array(16);
    const end = Math.min(columns, start + 1024);
    for (let column = start; column < end; column++) lanes[column % 16]! += term(column);
    total += lanes.reduce((sum, lane) => sum + lane, 0);
  }
  return total;
}

function sumInDouble(columns: number, term: (column: number) => number): number {
  let total = 0;
  for (let column = 0; column < columns; column++) total += term(column);
  return total;
}

type Sums = Omit<RowErrors, "clipped" | "vanished" | "groups">;

function expectedSums({ dequantize }: Kernels, rows: Rows, add = sumInLanes): Sums {
  const { sourceType, source, type, quantized, rows: count, columns, importance } = rows;
  const before = new Float32Array(count * columns);
  const after = new Float32Array(count * columns);
  dequantize({ type: sourceType, source, target: before, rows: count, columns });
  dequantize({ type, source: quantized, target: after, rows: count, columns });
  const perRow = (term: (index: number, column: number) => number) =>
    Float64Array.from({ length: count }, (_, row) =>
      add(columns, (column) => term(row * columns + column, column)),
    );
  const factor = (column: number) => importance?.[column] ?? 0;
  const rounded = add === sumInLanes ? Math.fround : (value: number) => value;
  const error = (i: number) => Math.fround(before[i]! - after[i]!);
  const squared = (value: number) => rounded(value * value);
  return {
    squaredErrors: perRow((i) => squared(error(i))),
    squaredWeights: perRow((i) => squared(before[i]!)),
    weightedErrors: perRow((i, column) => rounded(factor(column) * squared(error(i)))),
    weightedWeights: perRow((i, column) => rounded(factor(column) * squared(before[i]!))),
    largestErrors: Float64Array.from({ length: count }, (_, row) => {
      let largest = 0;
      for (let column = 0; column < columns; column++) {
        largest = Math.max(largest, Math.fround(Math.abs(error(row * columns + column))));
      }
      return largest;
    }),
  };
}

function sumsOf({ clipped: _clipped, vanished: _vanished, groups: _groups, ...sums }: RowErrors): Sums {
  return sums;
}

function quantized(kernel: Kernels, set: WeightSet, sourceType: string, type: string): Rows {
  const { rows, columns, weights } = set;
  const [first, second] = [sourceType, type].map((name) => weightingsOf(kernel, name, set.importance)[0]);
  const source = new Uint8Array(rows * rowSize(sourceType, columns));
  const target = new Uint8Array(rows * rowSize(type, columns));
  const shape = { rows, columns };
  kernel.quantize({
    ...shape,
    type: sourceType,
    sourceType: "F32",
    source: bytesOf(weights),
    target: source,
    importance: first,
  });
  kernel.quantize({ ...shape, type, sourceType, source, target, importance: second });
  return { sourceType, source, type, quantized: target, rows, columns };
}

describe.each(kernels)("measureError of $info.isa kernels", (kernel) => {
  it.each(SHAPES)("adds up %i x %i in the order that it promises", (rows, columns) => {
    const set = gaussianWeights(rows, columns, rows);
    for (const [sourceType, type] of [
      ["F32", "Q4_K"],
      ["BF16", "Q8_0"],
      ["Q8_0", "Q2_K"],
      ["Q6_K", "Q5_0"],
    ] as const) {
      const measured = quantized(kernel, set, sourceType, type);
      expect(sumsOf(kernel.measureError(measured))).toEqual(expectedSums(kernel, measured));
      const weighted = { ...measured, importance: set.importance };
      expect(sumsOf(kernel.measureError(weighted))).toEqual(expectedSums(kernel, weighted));
    }
  });

  it.each([1, 7, 8, 9, 1023, 1025])("takes rows of %i elements", (columns) => {
    const measured = quantized(kernel, gaussianWeights(3, columns, columns), "F32", "F16");
    const errors = kernel.measureError(measured);
    expect(sumsOf(errors)).toEqual(expectedSums(kernel, measured));
    expect([...errors.clipped, ...errors.vanished, ...errors.groups]).toEqual(
      Array.from({ length: 9 }, () => 0),
    );
    expect(errors.squaredErrors.every((error) => error > 0)).toBe(true);
  });

  it("gives the same sums row by row, at any alignment", () => {
    const measured = quantized(kernel, gaussianWeights(40, 2304, 5), "Q6_K", "Q3_K");
    const { rows, columns, source, sourceType, type } = measured;
    const whole = kernel.measureError(measured);
    const [sourceRow, quantizedRow] = [rowSize(sourceType, columns), rowSize(type, columns)];
    for (let row = 0; row < rows; row++) {
      const alone = kernel.measureError({
        ...measured,
        rows: 1,
        source: source.subarray(row * sourceRow, (row + 1) * sourceRow),
        quantized: measured.quantized.subarray(row * quantizedRow, (row + 1) * quantizedRow),
      });
      for (const figure of Object.keys(whole) as (keyof RowErrors)[]) {
        expect(alone[figure][0], figure).toBe(whole[figure][row]);
      }
    }
  });

  it.each([
    ["1", 1],
    ["2^100", 2 ** 100],
    ["2^-60", 2 ** -60],
    ["2^-130", 2 ** -130],
  ])("is within a millionth of sums in double precision for weights around %s", (_, size) => {
    const set = gaussianWeights(5, 2100, 3);
    const weights = set.weights.map((weight) => weight * size);
    const measured = quantized(kernel, { ...set, weights }, "F32", "BF16");
    const weighted = { ...measured, importance: set.importance };
    const expected = expectedSums(kernel, weighted, sumInDouble);
    const found = sumsOf(kernel.measureError(weighted));
    for (const figure of Object.keys(expected) as (keyof Sums)[]) {
      for (const [row, value] of expected[figure].entries()) {
        expect(value).toBeGreaterThan(0);
        expect(Math.abs(found[figure][row]! / value - 1), figure).toBeLessThan(1e-6);
      }
    }
  });

  it("does not overflow where floats do", () => {
    const weights = new Float32Array(256).fill(3e38);
    const measured = quantized(kernel, { ...gaussianWeights(1, 256, 1), weights }, "F32", "F32");
    expect(kernel.measureError(measured).squaredWeights[0]! / (256 * 9e76)).toBeCloseTo(1, 6);
  });
});

it("agrees on every instruction set for every pair of types, whatever the weights", () => {
  const set = edgeWeights(7, 1280, 6);
  const [first, ...others] = kernels as readonly [Kernels, ...Kernels[]];
  for (const sourceType of first.types.filter((type) => set.columns % blockSize(type) === 0)) {
    for (const type of first.types) {
      const measured = quantized(first, set, sourceType, type);
      const weighted = { ...measured, importance: set.importance };
      const expected = first.measureError(weighted);
      for (const other of others) expect(other.measureError(weighted)).toEqual(expected);
    }
  }
});

it("refuses importance that is no weight", () => {
  const [kernel] = kernels as readonly [Kernels, ...Kernels[]];
  const measured = quantized(kernel, gaussianWeights(1, 256, 1), "F32", "Q4_K");
  expect(() => kernel.measureError({ ...measured, importance: new Float32Array(256).fill(-1) })).toThrow(
    expect.objectContaining({ code: "KERNEL_ARGUMENT" }),
  );
  expect(() => kernel.measureError({ ...measured, importance: new Float32Array(8) })).toThrow(
    expect.objectContaining({ code: "KERNEL_ARGUMENT" }),
  );
});
