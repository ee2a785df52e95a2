import * as fc from "fast-check";
import { expect, it } from "vitest";
import { mirrorLowerHalf, packedLength, rowRuns, unpackRows } from "./packed-triangle.ts";

it("unpacks a triangle, whole or in runs of rows, into a symmetric matrix", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 400 }), (size, most) => {
      const triangle = Float32Array.from({ length: packedLength(size) }, (_, index) => index);
      const matrix = new Float64Array(size * size).fill(-1);
      for (const { start, count } of rowRuns({ start: 0, count: size, most })) {
        const rows = triangle.subarray(packedLength(start), packedLength(start + count));
        expect(rows.length <= most || count === 1).toBe(true);
        unpackRows({ rows, start, size, into: matrix });
      }
      mirrorLowerHalf(matrix, size);
      const expected = matrix.map((_, index) => {
        const [row, column] = [Math.floor(index / size), index % size];
        const [low, high] = [Math.min(row, column), Math.max(row, column)];
        return (high * (high + 1)) / 2 + low;
      });
      expect(Buffer.from(matrix.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
    }),
  );
});
