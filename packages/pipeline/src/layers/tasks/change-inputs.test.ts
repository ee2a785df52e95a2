import { randomizedHadamard, uniformAt } from "@quern/quantize";
import type { InputStatistics } from "@quern/statistics";
import { expect, it } from "vitest";
import { changeInputs } from "./change-inputs.ts";

const COLUMNS = 12;
const TOKENS = 50;

function statisticsOf(x: Float64Array): InputStatistics {
  const over = (column: number, of: (value: number) => number): number => {
    let sum = 0;
    for (let token = 0; token < TOKENS; token++) sum += of(x[token * COLUMNS + column]!);
    return sum / TOKENS;
  };
  const by = (of: (value: number) => number): Float32Array =>
    Float32Array.from({ length: COLUMNS }, (_, column) => over(column, of));
  const largest = new Float32Array(COLUMNS);
  for (const [i, value] of x.entries())
    largest[i % COLUMNS] = Math.max(largest[i % COLUMNS]!, Math.abs(value));
  const hessian = new Float64Array(COLUMNS * COLUMNS);
  for (let i = 0; i < hessian.length; i++) {
    for (let token = 0; token < TOKENS; token++) {
      hessian[i]! += x[token * COLUMNS + Math.floor(i / COLUMNS)]! * x[token * COLUMNS + (i % COLUMNS)]!;
    }
  }
  return {
    tokens: TOKENS,
    mean: by((value) => value),
    meanSquare: by((value) => value * value),
    meanMagnitude: by(Math.abs),
    largestMagnitude: largest,
    hessian,
    heldOut: Float32Array.from(x.subarray(0, 5 * COLUMNS)),
  };
}

const divided = Float64Array.from({ length: COLUMNS }, (_, column) => 0.5 + column / 3);
const rotation = { size: 4, seed: 9, starts: Int32Array.of(0, 8) };
const inputs = Float64Array.from(
  { length: TOKENS * COLUMNS },
  (_, i) => uniformAt(1, i) - 0.3 + (i % COLUMNS) / 5,
);

/** Inputs that were changed one by one. */
function changedInputs(): Float64Array {
  const { forward } = randomizedHadamard(rotation);
  const x = inputs.map((value, i) => value / divided[i % COLUMNS]!);
  for (let row = 0; row < x.length; row += COLUMNS) {
    for (const start of rotation.starts) x.set(forward(x.slice(row + start, row + start + 4)), row + start);
  }
  return x;
}

it.each([true, false])(
  "knows of changed inputs what it would know of these themselves, with a Hessian: %s",
  (known) => {
    const expected = statisticsOf(changedInputs());
    const { hessian, ...rest } = statisticsOf(inputs);
    const statistics = known ? { ...rest, hessian: hessian! } : rest;
    const actual = changeInputs({
      kind: "change-inputs",
      tensor: "test",
      statistics,
      changes: [{ divided }, { rotated: rotation }],
    });
    const close = (a: ArrayLike<number>, b: ArrayLike<number>, digits: number): void => {
      for (let i = 0; i < b.length; i++) expect(a[i], `${i}`).toBeCloseTo(b[i]!, digits);
    };
    close(actual.mean, expected.mean, 5);
    close(actual.heldOut!, expected.heldOut!, 5);
    for (const [column, most] of expected.largestMagnitude.entries()) {
      expect(actual.largestMagnitude[column]).toBeGreaterThanOrEqual(most * 0.999999);
    }
    if (known) {
      close(actual.hessian!, expected.hessian!, 9);
      close(actual.meanSquare, expected.meanSquare, 5);
      return;
    }
    const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);
    expect(sum(actual.meanSquare)).toBeCloseTo(sum(expected.meanSquare), 4);
    expect(new Set(actual.meanSquare.subarray(0, 4)).size).toBe(1);
  },
);

it("leaves out what a norm has multiplied by 0", () => {
  const zero = divided.with(3, 0);
  const { mean, hessian } = changeInputs({
    kind: "change-inputs",
    tensor: "test",
    statistics: statisticsOf(inputs),
    changes: [{ divided: zero }],
  });
  expect(mean[3]).toBe(0);
  expect(hessian!.subarray(3 * COLUMNS, 4 * COLUMNS).every((value) => value === 0)).toBe(true);
});
