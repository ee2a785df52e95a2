import * as fc from "fast-check";
import { expect, it } from "vitest";
import { WrittenRanges } from "./written-ranges.ts";

it("knows what has been written as a list of elements would", () => {
  const length = 24;
  const range = fc.tuple(fc.nat(length), fc.nat(8)).map(([start, count]) => {
    return { start, end: Math.min(length, start + count) };
  });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (additions) => {
      const ranges = new WrittenRanges();
      const written = Array.from({ length }, () => false);
      for (const { start, end } of additions) {
        const isNew = !written.slice(start, end).includes(true);
        expect(ranges.add(start, end)).toBe(isNew);
        if (isNew) written.fill(true, start, end);
      }
      const missing = written.flatMap((isWritten, index) => (isWritten ? [] : [index]));
      const gaps = ranges.gaps(length);
      const inGaps = gaps.flatMap(({ start, end }) => {
        return Array.from({ length: end - start }, (_, index) => start + index);
      });
      expect(inGaps).toEqual(missing);
      expect(gaps.every(({ end }, index) => end < (gaps[index + 1]?.start ?? Infinity))).toBe(true);
    }),
  );
});
