import * as fc from "fast-check";
import { expect, it } from "vitest";
import { packedLength, rowRuns, unpackRows } from "./packed-triangle.ts";

it("unpacks a triangle, whole or in runs of rows, into a symmetric matrix", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 60 }), (size, most) => {
      const triangle = Float32Array.from({ length: packedLength(size) }, (_, index) => index);
      const matrix = new Float64Array(size * size).fill(-1);
      for (const { start, count } of rowRuns({ start: 0, count: size, most })) {
        const rows = triangle.subarray(packedLength(start), packedLength(start + count));
        expect(rows.length <= most || count === 1).toBe(true);
        unpackRows({ rows, start, size, into: matrix });
      }
      for (let row = 0; row < size; row++) {
        for (let column = 0; column < size; column++) {
          const [low, high] = [Math.min(row, column), Math.max(row, column)];
          expect(matrix[row * size + column]).toBe((high * (high + 1)) / 2 + low);
        }
      }
    }),
  );
});
