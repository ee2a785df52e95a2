import { decodeElements, encodeElements, type ElementType } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitFactors } from "./fit-factors.ts";

const TYPES: readonly ElementType[] = ["BF16", "F16"];

function rounded(type: ElementType, values: ArrayLike<number>): Float32Array {
  return decodeElements({ type, bytes: encodeElements({ type, values }) });
}

describe.each(TYPES)("fitFactors for %s", (type) => {
  it.each([0, 1])("gives factors that leave numbers of the type, with %s added by the model", (offset) => {
    const weights = fc.float({ min: -8, max: 8, noNaN: true });
    const factors = fc.float({ min: Math.fround(0.01), max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(weights, factors), { minLength: 1, maxLength: 40 }), (pairs) => {
        const weight = rounded(
          type,
          pairs.map(([value]) => value),
        );
        const given = Float32Array.from(pairs, ([, factor]) => factor);
        const fitted = fitFactors({ factors: given, weight, offset, type });
        for (const [column, factor] of fitted.entries()) {
          expect(factor > 0 && factor < Infinity).toBe(true);
          const whole = weight[column]! + offset;
          // What a converter stores is what the scaled weight rounds to: nothing may be lost by it.
          const stored = rounded(type, [Math.fround(whole / factor - offset)])[0]!;
          expect(Math.abs((stored + offset) * factor - whole)).toBeLessThanOrEqual(
            2 ** -22 * (Math.abs(whole) + offset * factor),
          );
        }
      }),
    );
  });

  it("stays near the factors that were wished for", () => {
    const factors = Float32Array.of(0.3, 1.7, 5, 0.91);
    const weight = rounded(type, [0.7, -1.3, 2.1, 0.05]);
    const fitted = fitFactors({ factors, weight, type });
    for (const [column, factor] of fitted.entries()) {
      expect(Math.abs(factor / factors[column]! - 1)).toBeLessThan(2 ** (type === "F16" ? -11 : -8));
    }
  });

  it("leaves weights alone that are 0 or that the type cannot divide", () => {
    const largest = type === "F16" ? 65504 : 3.3895313892515355e38;
    const weight = Float32Array.of(0, -0, largest, 2 ** -24);
    const factors = Float32Array.of(3, 0.5, 0.25, 2 ** 130);
    const fitted = fitFactors({ factors, weight, type });
    expect([...fitted]).toEqual([1, 1, 1, 1]);
  });

  it("leaves weights alone of which nothing is left beside what the model adds", () => {
    const fitted = fitFactors({
      factors: Float32Array.of(2, 2 ** 60),
      weight: Float32Array.of(-1, 0.5),
      offset: 1,
      type,
    });
    expect([...fitted]).toEqual([1, 1]);
  });
});
