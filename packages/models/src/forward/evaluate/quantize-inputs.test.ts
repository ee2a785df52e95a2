import fc from "fast-check";
import { decodeElements, encodeElements } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { quantizeInputs } from "./quantize-inputs.ts";

const numbers = fc
  .array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 12, maxLength: 12 })
  .map((values) => Float32Array.from(values));

const largestOf = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

describe("quantizeInputs", () => {
  it("is nothing without a quantization", () => {
    const input = Float32Array.of(1, 2);
    expect(quantizeInputs({}, undefined, { input, columns: 2 })).toBe(input);
  });

  it.each([
    [{}, 6],
    [{ groupSize: 4 }, 6],
  ] as const)("gives each token, or group of it, 8 bits of its own: %j", (options, columns) => {
    fc.assert(
      fc.property(numbers, (input) => {
        const before = input.slice();
        const result = quantizeInputs({}, { type: "I8", ...options }, { input, columns });
        expect(input).toEqual(before);
        const size = "groupSize" in options ? options.groupSize : columns;
        for (let row = 0; row < input.length; row += columns) {
          for (let column = 0; column < columns; column += size) {
            const [start, end] = [row + column, row + Math.min(column + size, columns)];
            const scale = Math.fround(largestOf(input.subarray(start, end)) / 127);
            for (let index = start; index < end; index++) {
              const code = scale === 0 ? 0 : result[index]! / scale;
              expect(Math.abs(code - Math.round(code))).toBeLessThan(1e-4);
              expect(Math.abs(result[index]! - input[index]!)).toBeLessThanOrEqual(0.5001 * scale);
            }
          }
        }
      }),
    );
  });

  it("clips to a scale that is stored, and rounds halves to even codes", () => {
    const input = Float32Array.of(0.25, 0.75, -0.75, 100, -100, 0);
    const found = quantizeInputs({}, { type: "I8", scales: [0.5] }, { input, columns: 6 });
    expect([...found]).toEqual([0, 1, -1, 63.5, -64, 0]);
  });

  it("has the scale of each matrix", () => {
    const input = Float32Array.of(3.5, 6.5);
    const quantization = { type: "I8", scales: [2, 4] } as const;
    expect([...quantizeInputs({}, quantization, { input, columns: 2, matrix: 1 })]).toEqual([4, 8]);
    expect([...quantizeInputs({}, quantization, { input, columns: 2, matrix: 0 })]).toEqual([4, 6]);
    expect([...quantizeInputs({}, { type: "I8", scales: [2] }, { input, columns: 2, matrix: 1 })]).toEqual([
      4, 6,
    ]);
  });

  it("has 8-bit floats of what is divided by the scale", () => {
    fc.assert(
      fc.property(numbers, (input) => {
        const found = quantizeInputs({}, { type: "F8_E4M3" }, { input, columns: 12 });
        const scale = Math.fround(largestOf(input) / 448);
        if (scale === 0) return;
        const divided = input.map((value) => value / scale);
        const bytes = encodeElements({ type: "F8_E4M3", values: divided, saturate: true });
        expect(found).toEqual(decodeElements({ type: "F8_E4M3", bytes }).map((value) => value * scale));
      }),
    );
  });
});
