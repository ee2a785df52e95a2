import fc from "fast-check";
import { expect, it } from "vitest";
import { placeLabels } from "./place-labels.ts";

const bounds = { left: 0, right: 600, top: 0, bottom: 400 };

it("names a mark to its right, and where that is taken on another side", () => {
  const marks = [
    { x: 100, y: 100, radius: 10, label: "one" },
    { x: 130, y: 100, radius: 10, label: "two" },
  ];
  expect(placeLabels(marks, bounds).map(({ anchor }) => anchor)).toEqual(["middle", "start"]);
});

it("names marks of one name that lie together once", () => {
  const mark = { x: 100, y: 100, radius: 10, label: "Q6_K" };
  expect(placeLabels([mark, { ...mark, x: 104 }, { ...mark, x: 300 }], bounds)).toHaveLength(2);
});

it("never lets names meet each other", () => {
  const mark = fc.record({
    x: fc.integer({ min: 0, max: 600 }),
    y: fc.integer({ min: 0, max: 400 }),
    radius: fc.integer({ min: 2, max: 25 }),
    label: fc.constantFrom("Q4_K", "Q6_K", "IQ3_XXS", "Q8_0"),
  });
  fc.assert(
    fc.property(fc.array(mark, { maxLength: 12 }), (marks) => {
      const placed = placeLabels(marks, bounds);
      const spans = placed.map(({ label, x, y, anchor }) => {
        const width = 7 * label.length;
        const left = x - { start: 0, middle: width / 2, end: width }[anchor];
        return { left, right: left + width, y };
      });
      for (const [i, a] of spans.entries()) {
        for (const b of spans.slice(0, i)) {
          expect(a.right <= b.left || b.right <= a.left || Math.abs(a.y - b.y) >= 14).toBe(true);
        }
      }
    }),
  );
});
