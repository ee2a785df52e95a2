import { randomizedHadamard, rotateInputs, rotateOutputs } from "@quern/quantize";
import { QuernError, type TensorInfo } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluateRows, expressionType } from "../evaluate.ts";
import type { TensorExpression, TensorReader } from "../expression.ts";
import { rotating, type RotationOf } from "./rotate.ts";
import { source } from "./source.ts";

const ROWS = 12;
const COLUMNS = 8;
const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, index) => Math.sin(index * 7));
const info: TensorInfo = { name: "x", type: "F32", shape: [ROWS, COLUMNS] };
const reader: TensorReader = {
  info: () => info,
  readRows: async (_, start, count) =>
    new Uint8Array(values.slice(start * COLUMNS, (start + count) * COLUMNS).buffer),
};

function rotated(rotation: RotationOf): TensorExpression {
  return { ...rotating(rotation), inputs: [source("x")] };
}

async function rowsOf(expression: TensorExpression, firstRow = 0, rows = ROWS): Promise<Float32Array> {
  const bytes = await evaluateRows(expression, { reader, firstRow, rows });
  return new Float32Array(bytes.slice().buffer);
}

describe("rotate", () => {
  it("rotates what is read and what is made as the algorithms do", async () => {
    const matrix = { rows: ROWS, columns: COLUMNS, values };
    const inputs = rotateInputs(matrix, randomizedHadamard({ size: COLUMNS, seed: 5 }));
    expect(await rowsOf(rotated({ axis: "columns", size: COLUMNS, seed: 5 }))).toEqual(inputs.values);
    const outputs = rotateOutputs(matrix, randomizedHadamard({ size: ROWS, seed: 5 }));
    expect(await rowsOf(rotated({ axis: "rows", size: ROWS, seed: 5 }))).toEqual(outputs.values);
  });

  it.each<[string, RotationOf, (row: number, column: number) => boolean]>([
    [
      "columns",
      { axis: "columns", size: 2, seed: 1, starts: Int32Array.of(1, 5) },
      (_, column) => [1, 2, 5, 6].includes(column),
    ],
    [
      "rows",
      { axis: "rows", size: 4, seed: 1, starts: Int32Array.of(1, 6) },
      (row) => (row >= 1 && row < 5) || (row >= 6 && row < 10),
    ],
  ])("rotates some blocks of %s alone", async (_, rotation, isRotated) => {
    const result = await rowsOf(rotated(rotation));
    const changed = values.map((value, index) => Number(result[index] !== value));
    const expected = values.map((_, index) =>
      Number(isRotated(Math.floor(index / COLUMNS), index % COLUMNS)),
    );
    expect(changed).toEqual(expected);
    const energy = (numbers: Float32Array): number => numbers.reduce((sum, value) => sum + value ** 2, 0);
    expect(energy(result)).toBeCloseTo(energy(values), 4);
  });

  it("gives the same in slabs", async () => {
    const range = fc.tuple(fc.nat(ROWS - 1), fc.integer({ min: 1, max: ROWS }));
    const rotations = fc.constantFrom<RotationOf>(
      { axis: "rows", size: 4, seed: 2 },
      { axis: "rows", size: 4, seed: 2, starts: Int32Array.of(2, 7) },
      { axis: "columns", size: 4, seed: 2 },
    );
    await fc.assert(
      fc.asyncProperty(range, rotations, async ([start, length], rotation) => {
        const count = Math.min(length, ROWS - start);
        const whole = await rowsOf(rotated(rotation));
        const slab = await rowsOf(structuredClone(rotated(rotation)), start, count);
        expect(slab).toEqual(whole.slice(start * COLUMNS, (start + count) * COLUMNS));
      }),
    );
  });

  it.each<RotationOf>([
    { axis: "rows", size: 8, seed: 0 },
    { axis: "columns", size: 4, seed: 0, starts: Int32Array.of(0, 3) },
    { axis: "columns", size: 4, seed: 0, starts: Int32Array.of(6) },
    { axis: "rows", size: 4, seed: 0, starts: Int32Array.of(-1) },
  ])("refuses blocks that do not fit: %j", (rotation) => {
    expect(() => expressionType(rotated(rotation), reader)).toThrow(QuernError);
    expect(() => expressionType(rotated(rotation), reader)).toThrow("do not fit");
  });
});
