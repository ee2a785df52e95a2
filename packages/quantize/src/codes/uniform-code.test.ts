import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { floatScales } from "../scale-store.ts";
import { parametersFor } from "./code.ts";
import { uniformCode } from "./uniform-code.ts";

const store = floatScales("F32");
const { fround } = Math;

describe("worked figures", () => {
  const unsigned = uniformCode({ bits: 8, symmetric: false });

  it("[0, 1000] as uint8: scale 3.92, 500 is 128", () => {
    const { scale, shift } = parametersFor(unsigned, { low: 0, high: 1000 }, store);
    expect(scale).toBe(fround(1000 / 255));
    expect(shift).toBe(0);
    expect(500 / scale).toBeCloseTo(127.5, 4);
    expect(unsigned.encode(500, scale, shift)).toBe(128);
  });

  it("[-20, 1000]: scale 4, zero 5 (of int8: -123)", () => {
    const { scale, shift } = parametersFor(unsigned, { low: -20, high: 1000 }, store);
    expect([scale, shift, shift - 128]).toEqual([4, 5, -123]);
    const codes = [-20, 0, 1000].map((value) => unsigned.encode(value, scale, shift));
    expect(codes).toEqual([0, 5, 255]);
    expect(codes.map((code) => code - 128)).toEqual([-128, -123, 127]);
    expect(codes.map((code) => unsigned.decode(code, scale, shift))).toEqual([-20, 0, 1000]);
  });

  it("[40, 1000] is widened to [0, 1000]: 10 codes, 3.92 % of the range, are not used", () => {
    const { scale, shift } = parametersFor(unsigned, { low: 40, high: 1000 }, store);
    expect(shift).toBe(0);
    expect(unsigned.encode(40, scale, shift)).toBe(10);
    expect(unsigned.encode(40, scale, shift) / 255).toBeCloseTo(0.0392, 4);
    expect(unsigned.decode(unsigned.encode(0, scale, shift), scale, shift)).toBe(0);
  });

  it("[2000, 4000] wastes half the codes; around 0, none are wasted", () => {
    const far = parametersFor(unsigned, { low: 2000, high: 4000 }, store);
    const used = (low: number, high: number, { scale, shift }: typeof far): number =>
      unsigned.encode(high, scale, shift) - unsigned.encode(low, scale, shift) + 1;
    expect(used(2000, 4000, far)).toBe(128);
    const normal = parametersFor(unsigned, { low: -3, high: 2.7 }, store);
    expect(used(-3, 2.7, normal)).toBe(256);
  });

  it("a real zero needs no widening", () => {
    const code = uniformCode({ bits: 8, symmetric: false, zero: "real" });
    const { scale, shift } = parametersFor(code, { low: 2000, high: 4000 }, store);
    expect([scale, shift]).toEqual([fround(2000 / 255), 2000]);
    expect([code.encode(2000, scale, shift), code.encode(4000, scale, shift)]).toEqual([0, 255]);
  });
});

describe("symmetric codes", () => {
  it.each([
    ["full", 127.5, -128, 127],
    ["restricted", 127, -127, 127],
  ] as const)("%s range of int8", (range, levels, least, most) => {
    const code = uniformCode({ bits: 8, symmetric: true, range });
    const { scale, shift } = parametersFor(code, { low: -2, high: 1 }, store);
    expect([scale, shift]).toEqual([fround(2 / levels), 128]);
    expect(code.encode(-99, scale, shift) - 128).toBe(least);
    expect(code.encode(99, scale, shift) - 128).toBe(most);
    expect(Math.abs(code.decode(code.encode(-2, scale, shift), scale, shift) + 2)).toBeLessThan(0.51 * scale);
    expect(code.decode(code.encode(0, scale, shift), scale, shift)).toBe(0);
  });

  it("unsigned codes begin with 0", () => {
    const code = uniformCode({ bits: 8, symmetric: true, unsigned: true });
    const { scale, shift } = parametersFor(code, { low: -1, high: 510 }, store);
    expect([scale, shift]).toEqual([2, 0]);
    expect([-1, 0, 4, 510].map((value) => code.encode(value, scale, shift))).toEqual([0, 0, 2, 255]);
  });

  it("rounds half to even", () => {
    const code = uniformCode({ bits: 4, symmetric: true });
    expect([-1.5, -0.5, 0.5, 1.5, 2.5].map((value) => code.encode(value, 1, 8) - 8)).toEqual([
      -2, 0, 0, 2, 2,
    ]);
  });
});

const kinds = fc.constantFrom(
  { symmetric: true },
  { symmetric: true, range: "restricted" as const },
  { symmetric: false },
  { symmetric: false, zero: "real" as const },
);
const range = fc
  .tuple(fc.float({ min: -100, max: 100, noNaN: true }), fc.float({ min: -100, max: 100, noNaN: true }))
  .map(([a, b]) => ({ low: Math.min(a, b), high: Math.max(a, b) }));

describe("any uniform code", () => {
  it("gives the code of the nearest value, and 0 exactly unless its zero is real", () => {
    fc.assert(
      fc.property(
        kinds,
        fc.integer({ min: 2, max: 8 }),
        range,
        fc.constantFrom("F32" as const, "F16" as const, "BF16" as const),
        fc.double({ min: -1.5, max: 1.5, noNaN: true }),
        (kind, bits, bounds, type, share) => {
          const code = uniformCode({ ...kind, bits, offsetType: type });
          const { scale, shift } = parametersFor(code, bounds, floatScales(type));
          expect(scale).toBeGreaterThan(0);
          const value = fround(share * Math.max(-bounds.low, bounds.high));
          const least = kind.range === "restricted" ? 1 : 0;
          const codes = Array.from({ length: 2 ** bits - least }, (_, i) => i + least);
          const distances = codes.map((c) => Math.abs(code.decode(c, scale, shift) - value));
          const found = Math.abs(code.decode(code.encode(value, scale, shift), scale, shift) - value);
          const tolerance = 1e-5 * (Math.abs(value) + scale + Math.abs(code.shift === "offset" ? shift : 0));
          expect(found).toBeLessThanOrEqual(Math.min(...distances) + tolerance);
          const ofZero = code.decode(code.encode(0, scale, shift), scale, shift);
          expect(code.shift === "offset" || ofZero === 0).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("is refused with options that contradict each other", () => {
    for (const options of [
      { bits: 0, symmetric: true },
      { bits: 9, symmetric: true },
      { bits: 2.5, symmetric: false },
      { bits: 1, symmetric: true, range: "restricted" },
      { bits: 4, symmetric: true, unsigned: true, range: "restricted" },
      { bits: 4, symmetric: false, unsigned: true },
      { bits: 4, symmetric: false, range: "restricted" },
    ] as const) {
      expect(() => uniformCode(options)).toThrow(expect.objectContaining({ code: "QUANTIZE_OPTION" }));
    }
  });
});

describe("scales", () => {
  it("are rounded to the type that is stored before codes are chosen", () => {
    const code = uniformCode({ bits: 4, symmetric: true, range: "restricted" });
    const half = parametersFor(code, { low: -1, high: 1 }, floatScales("F16"));
    expect(half.scale).toBe(0.142822265625);
    expect(parametersFor(code, { low: -1, high: 1 }, floatScales("BF16")).scale).toBe(0.142578125);
  });

  it("are 1 for zeros, and never 0; those that cannot be stored are refused", () => {
    const code = uniformCode({ bits: 4, symmetric: true });
    expect(parametersFor(code, { low: 0, high: 0 }, floatScales("F16")).scale).toBe(1);
    expect(parametersFor(code, { low: -1e-30, high: 0 }, floatScales("F16")).scale).toBe(2 ** -24);
    expect(parametersFor(code, { low: -65504 * 7.5, high: 0 }, floatScales("F16")).scale).toBe(65504);
    for (const low of [-65520 * 7.5, -1e30]) {
      expect(() => parametersFor(code, { low, high: 0 }, floatScales("F16"))).toThrow(
        expect.objectContaining({ code: "QUANTIZE_SCALE_TOO_LARGE" }),
      );
    }
  });
});
