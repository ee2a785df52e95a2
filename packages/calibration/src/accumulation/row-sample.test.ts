import fc from "fast-check";
import { expect, it } from "vitest";
import { RowSample } from "./row-sample.ts";

it("keeps every s-th row, with s the least power of two that is enough, however rows are divided", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 12 }),
      (most, parts) => {
        const columns = 3;
        const sample = new RowSample({ columns, most });
        let count = 0;
        for (const rows of parts) {
          sample.add(Float32Array.from({ length: rows * columns }, (_, i) => count * columns + i));
          count += rows;
        }
        let stride = 1;
        while (Math.ceil(count / stride) > most) stride *= 2;
        const kept = Array.from({ length: Math.ceil(count / stride) }, (_, row) => row * stride);
        expect(sample.count).toBe(kept.length);
        expect([...sample.rows]).toEqual(kept.flatMap((row) => [3 * row, 3 * row + 1, 3 * row + 2]));
      },
    ),
  );
});
