import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gaussian } from "../testing/random.ts";
import { fakeQuantize, fakeQuantizeGradients, initialStep } from "./fake-quantize.ts";

describe("fake quantization", () => {
  it("rounds and clamps", () => {
    const values = Float32Array.of(-9, -1.3, -0.25, 0, 0.25, 0.74, 3);
    const found = fakeQuantize({ values, step: 0.5, negative: 4, positive: 3 });
    expect([...found].map((value) => value + 0)).toEqual([-2, -1.5, 0, 0, 0, 0.5, 1.5]);
  });

  it("begins with the step of LSQ", () => {
    expect(initialStep({ values: Float32Array.of(1, -2, 3, 0), positive: 4 })).toBe(1.5);
  });
});

describe("gradients, checked numerically", () => {
  const settings = { negative: 8, positive: 7 };

  it("by the step: the derivative, since codes stay where they are", () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0.05, max: 0.6, noNaN: true }), (seed, step) => {
        const values = gaussian(40, seed);
        const weights = gaussian(40, seed + 1);
        // Away from where a code changes, the quantized value is code * step.
        const safe = [...values.keys()].filter((i) => {
          const ratio = values[i]! / step;
          return (
            Math.abs(ratio - Math.floor(ratio) - 0.5) > 0.02 &&
            Math.abs(ratio + 8) > 0.02 &&
            Math.abs(ratio - 7) > 0.02
          );
        });
        const used = Float32Array.from(safe, (i) => values[i]!);
        const gradients = Float32Array.from(safe, (i) => weights[i]!);
        const { step: found } = fakeQuantizeGradients({
          values: used,
          step,
          gradients,
          ...settings,
          scaled: false,
        });
        // The straight-through part, -v / s, is the derivative of the ratio, whose rounding counts as the identity; the rest is numeric.
        const loss = (s: number): number => {
          const codes = fakeQuantize({ values: used, step: s, ...settings });
          return codes.reduce((sum, value, i) => sum + gradients[i]! * value, 0);
        };
        const width = 1e-4 * step;
        const numeric = (loss(step + width) - loss(step - width)) / (2 * width);
        const through = safe.reduce((sum, _, k) => {
          const ratio = used[k]! / step;
          return ratio > -8 && ratio < 7 ? sum - gradients[k]! * ratio : sum;
        }, 0);
        expect(Math.abs(found - (numeric + through))).toBeLessThan(0.03 * (1 + Math.abs(found)));
        const scaled = fakeQuantizeGradients({ values: used, step, gradients, ...settings });
        expect(scaled.step).toBeCloseTo(found / Math.sqrt(used.length * 7), 9);
      }),
      { numRuns: 60 },
    );
  });

  it("by values: those of the clamp alone", () => {
    const values = gaussian(200, 3).map((value) => 3 * value);
    const gradients = gaussian(200, 4);
    const step = 0.4;
    const { values: found } = fakeQuantizeGradients({ values, step, gradients, ...settings });
    const clamped = (value: number): number => Math.min(Math.max(value, -8 * step), 7 * step);
    values.forEach((value, i) => {
      const numeric = (clamped(value + 1e-6) - clamped(value - 1e-6)) / 2e-6;
      expect(found[i]).toBeCloseTo(gradients[i]! * numeric, 4);
    });
    expect(found.some((value) => value === 0) && found.some((value) => value !== 0)).toBe(true);
  });

  it("lead to a better step", () => {
    const values = gaussian(500, 5);
    let step = 0.9;
    const loss = (s: number): number =>
      fakeQuantize({ values, step: s, ...settings }).reduce(
        (sum, value, i) => sum + (value - values[i]!) ** 2,
        0,
      );
    const first = loss(step);
    for (let i = 0; i < 60; i++) {
      const gradients = fakeQuantize({ values, step, ...settings }).map(
        (value, k) => 2 * (value - values[k]!),
      );
      step -= 0.002 * fakeQuantizeGradients({ values, step, gradients, ...settings }).step;
    }
    expect(loss(step)).toBeLessThan(0.7 * first);
  });
});
