import { loadKernels } from "@quern/kernels";
import { expect, it } from "vitest";
import { hessianForms, type ReadHessianRows } from "./hessian-forms.ts";
import { LaneBuffers } from "./lane-buffers.ts";

const { math } = await loadKernels();

/** Numbers around 0, the same every time. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** X^T X of some inputs X, row by row. */
function hessianOf(columns: number, inputs = 50): (row: number, column: number) => number {
  const x = numbers(inputs * columns, 7);
  return (row, column) => {
    let sum = 0;
    for (let i = 0; i < inputs; i++) sum += x[i * columns + row]! * x[i * columns + column]!;
    return sum;
  };
}

function readerOf(hessian: (row: number, column: number) => number): ReadHessianRows {
  return async (start, count) => {
    const rows = Array.from({ length: count }, (_, row) =>
      Array.from({ length: start + row + 1 }, (_, column) => hessian(start + row, column)),
    );
    return Float32Array.from(rows.flat());
  };
}

it.each([1, 63, 64, 65, 160])("are x^T H x of every row, for %i columns", async (columns) => {
  const rows = 5;
  const hessian = hessianOf(columns);
  const matrices = [numbers(rows * columns, 1), numbers(rows * columns, 2)];
  const found = await hessianForms({
    matrices,
    rows,
    columns,
    read: readerOf(hessian),
    math,
    buffers: new LaneBuffers(),
  });
  for (const [index, matrix] of matrices.entries()) {
    for (let row = 0; row < rows; row++) {
      const x = matrix.subarray(row * columns, (row + 1) * columns);
      let expected = 0;
      for (const [i, left] of x.entries()) {
        for (const [j, right] of x.entries()) expected += left * hessian(i, j) * right;
      }
      expect(Math.abs(found[index]![row]! / expected - 1)).toBeLessThan(1e-5);
    }
  }
});

it("do not depend on which rows are there together", async () => {
  const [rows, columns] = [9, 130];
  const matrix = numbers(rows * columns, 3);
  const read = readerOf(hessianOf(columns));
  const buffers = new LaneBuffers();
  const formsOf = async (start: number, count: number): Promise<number[]> => {
    const part = matrix.subarray(start * columns, (start + count) * columns);
    const [forms] = await hessianForms({ matrices: [part], rows: count, columns, read, math, buffers });
    return [...forms!];
  };
  const whole = await formsOf(0, rows);
  expect([...(await formsOf(0, 4)), ...(await formsOf(4, 1)), ...(await formsOf(5, 4))]).toEqual(whole);
});
