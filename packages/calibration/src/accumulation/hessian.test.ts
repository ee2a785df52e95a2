import { loadKernels } from "@quern/kernels";
import { packedLength } from "@quern/statistics";
import { describe, expect, it } from "vitest";
import { addHessians, packRows } from "./hessian.ts";

const columns = 70;

function windows(): { rows: Float32Array; parts: { matrix: number; rows: number }[] }[] {
  let state = 1;
  const value = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return [
    [
      [1, 300],
      [0, 5],
    ],
    [[0, 260]],
    [
      [0, 0],
      [1, 17],
    ],
  ].map((counts) => {
    const parts = (counts as [number, number][]).map(([matrix, rows]) => ({ matrix, rows }));
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    return { rows: Float32Array.from({ length: (rows + 3) * columns }, value), parts };
  });
}

describe.each(["native", "wasm"] as const)("addHessians with %s kernels", (backend) => {
  it.each([0, 1])("gives the rows of X^T X of matrix %i, however they are cut", async (matrix) => {
    const kernels = await loadKernels({ backend });
    const captured = windows();
    const whole = new Float64Array(columns * columns);
    const exact = new Float64Array(columns * columns);
    for (const { rows: all, parts } of captured) {
      let first = 0;
      for (const part of parts) {
        const x = all.subarray(first * columns, (first + part.rows) * columns);
        first += part.rows;
        if (part.matrix !== matrix) continue;
        kernels.math.syrk({ x, tokens: part.rows, n: columns, h: whole });
        for (let row = 0; row < part.rows; row++) {
          for (let i = 0; i < columns; i++) {
            for (let j = 0; j <= i; j++)
              exact[i * columns + j]! += x[row * columns + i]! * x[row * columns + j]!;
          }
        }
      }
    }
    const packed = new Float32Array(packedLength(columns));
    for (const [firstRow, rows] of [
      [0, 1],
      [1, 40],
      [41, 29],
    ] as const) {
      const h = new Float64Array(rows * (firstRow + rows));
      addHessians(kernels, { kind: "hessian", slices: [{ columns, matrix, firstRow, rows, h, captured }] });
      packed.set(packRows({ firstRow, rows, h }), packedLength(firstRow));
    }
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j <= i; j++) {
        expect(packed[packedLength(i) + j]).toBe(Math.fround(whole[i * columns + j]!));
        expect(packed[packedLength(i) + j]).toBeCloseTo(exact[i * columns + j]!, 3);
      }
    }
  });
});
