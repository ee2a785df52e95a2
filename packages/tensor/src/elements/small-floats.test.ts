import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SMALL_FLOATS, type SmallFloatType } from "./small-floats.ts";

const view = new DataView(new ArrayBuffer(8));

function float32OfBits(bits: number): number {
  view.setUint32(0, bits);
  return view.getFloat32(0);
}

function float64OfBits(bits: bigint): number {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

/** The next float64 above (or below) a finite value. */
function neighbour(value: number, up: boolean): number {
  if (value === 0) return up ? Number.MIN_VALUE : -Number.MIN_VALUE;
  view.setFloat64(0, value);
  return float64OfBits(view.getBigUint64(0) + (value > 0 === up ? 1n : -1n));
}

/** binary16 widened to binary64 field by field. */
function binary16(code: number): number {
  const sign = BigInt(code >>> 15) << 63n;
  const exponent = (code >>> 10) & 31;
  const fraction = code & 1023;
  if (exponent === 0) return (code >>> 15 ? -1 : 1) * fraction * 2 ** -24;
  const wide = exponent === 31 ? 2047n : BigInt(exponent + 1008);
  return float64OfBits(sign | (wide << 52n) | (BigInt(fraction) << 42n));
}

const E4M3_FRACTIONS = [1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875];

function e4m3(code: number): number {
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >>> 3) & 15;
  if ((code & 0x7f) === 0x7f) return Number.NaN;
  if (exponent === 0) return (sign * (code & 7)) / 512;
  return sign * E4M3_FRACTIONS[code & 7]! * 2 ** (exponent - 7);
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** What each code means, derived in another way than the product derives it. */
const DECODERS: Readonly<Record<SmallFloatType, (code: number) => number>> = {
  F16: binary16,
  BF16: (code) => float32OfBits(code * 2 ** 16),
  F8_E5M2: (code) => binary16(code << 8),
  F8_E4M3: e4m3,
  F8_E8M0: (code) => (code === 255 ? Number.NaN : 2 ** (code - 127)),
  F4: (code) => (code < 8 ? E2M1[code]! : -E2M1[code - 8]!),
};

const TYPES = Object.keys(SMALL_FLOATS) as SmallFloatType[];
const SIGNED_TYPES = TYPES.filter((type) => type !== "F8_E8M0");

function positiveFinite(type: SmallFloatType): number[] {
  const half = type === "F8_E8M0" ? 256 : 2 ** (SMALL_FLOATS[type].bits - 1);
  return Array.from({ length: half }, (_, code) => DECODERS[type](code)).filter((value) =>
    Number.isFinite(value),
  );
}

/** The code of the positive value nearest to `value`, by comparison with the exact middle of its two neighbours. */
function nearestCode(values: readonly number[], value: number): number {
  let low = 0;
  let high = values.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (values[middle]! <= value) low = middle;
    else high = middle;
  }
  const next = values[low + 1] ?? 2 * values[low]! - (values[low - 1] ?? 0);
  const tie = (values[low]! + next) / 2;
  return value > tie || (value === tie && low % 2 === 1) ? low + 1 : low;
}

/** What encoding should give for a value of either sign, not saturating. */
function expectedCode(type: SmallFloatType, values: readonly number[], value: number): number {
  const code = nearestCode(values, Math.abs(value));
  const sign = value < 0 || Object.is(value, -0) ? 2 ** (SMALL_FLOATS[type].bits - 1) : 0;
  return (type === "F4" ? Math.min(code, values.length - 1) : code) + sign;
}

function differing(type: SmallFloatType, values: readonly number[], samples: Iterable<number>): unknown[] {
  const wrong: unknown[] = [];
  for (const sample of samples) {
    const found = SMALL_FLOATS[type].encode(sample, false);
    const expected = expectedCode(type, values, sample);
    if (found !== expected) wrong.push({ sample, found, expected });
  }
  return wrong;
}

describe.each(TYPES)("%s", (type) => {
  const format = SMALL_FLOATS[type];
  const codes = Array.from({ length: 2 ** format.bits }, (_, code) => code);

  it("decodes every code", () => {
    expect(codes.filter((code) => !Object.is(format.decode(code), DECODERS[type](code)))).toEqual([]);
  });

  it("encodes what it decoded to the same code", () => {
    const numbers = codes.filter((code) => !Number.isNaN(format.decode(code)));
    expect(numbers.filter((code) => format.encode(format.decode(code), false) !== code)).toEqual([]);
  });

  it("encodes NaN to a NaN, where there is one", () => {
    const code = format.encode(Number.NaN, false);
    expect(code === -1 ? type : format.decode(code)).toBe(type === "F4" ? "F4" : Number.NaN);
  });

  it("saturates when asked to", () => {
    const largest = positiveFinite(type).at(-1)!;
    for (const value of [largest, largest * 1.01, largest * 1.9, largest * 2, 1e308, Infinity]) {
      expect(format.decode(format.encode(value, true))).toBe(largest);
    }
  });
});

describe.each(SIGNED_TYPES)("rounding to %s", (type) => {
  const values = positiveFinite(type);

  it("rounds values, ties and their float64 neighbours", () => {
    const samples: number[] = [];
    for (const [i, value] of values.entries()) {
      const next = values[i + 1] ?? 2 * value - values[i - 1]!;
      const tie = (value + next) / 2;
      for (const sample of [value, tie]) {
        const around = [sample, neighbour(sample, true), neighbour(sample, false)];
        samples.push(...around, ...around.map((x) => -x));
      }
    }
    expect(differing(type, values, samples)).toEqual([]);
  });

  it("rounds any number below twice the largest", () => {
    const limit = 2 * values.at(-1)!;
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double({ min: -limit, max: limit, noNaN: true }),
          fc.float({ min: -1, max: 1, noNaN: true }),
          fc
            .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -140, max: 127 }))
            .map(([significand, exponent]) => significand * 2 ** exponent)
            .filter((value) => value < limit),
        ),
        (value) => {
          // Beyond the middle of the largest value and the next step there is only overflow, whose code is the next one.
          const expected = Math.min(nearestCode(values, Math.abs(value)), values.length);
          const sign = value < 0 || Object.is(value, -0) ? 2 ** (SMALL_FLOATS[type].bits - 1) : 0;
          const clipped = type === "F4" ? Math.min(expected, 7) : expected;
          expect(SMALL_FLOATS[type].encode(value, false)).toBe(clipped + sign);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe("overflow", () => {
  it.each<[SmallFloatType, number, number]>([
    ["F16", 65519.99999999999, 65504],
    ["F16", 65520, Infinity],
    ["F16", -1e300, -Infinity],
    ["BF16", 3.4028235e38, Infinity],
    ["BF16", 3.3961775292304601e38, Infinity],
    ["BF16", 3.39617752923046e38 * (1 - 2 ** -52), 3.3895313892515355e38],
    ["F8_E5M2", 61440, Infinity],
    ["F8_E5M2", 61439.99, 57344],
    ["F8_E5M2", -Infinity, -Infinity],
    ["F8_E4M3", 464, 448],
    ["F8_E4M3", 464.0000001, Number.NaN],
    ["F8_E4M3", -Infinity, Number.NaN],
    ["F4", 1e30, 6],
    ["F4", -Infinity, -6],
  ])("%s of %d is %d", (type, value, expected) => {
    const format = SMALL_FLOATS[type];
    expect(format.decode(format.encode(value, false))).toBe(expected);
  });
});

describe("F8_E8M0", () => {
  const format = SMALL_FLOATS.F8_E8M0;

  it.each([
    [0, 255],
    [-0, 255],
    [-1, 255],
    [-Infinity, 255],
    [Infinity, 255],
    [Number.NaN, 255],
    [Number.MIN_VALUE, 0],
    [2 ** -149, 0],
    [2 ** -128, 0],
    [2 ** -127, 0],
    [2 ** -127 * 1.4999999, 0],
    [2 ** -127 * 1.5, 1],
    [1, 127],
    [1.4999999999999998, 127],
    [1.5, 128],
    [3, 129],
    [2.9999999999999996, 128],
    [2 ** 127, 254],
    [2 ** 127 * 1.4999999, 254],
    [2 ** 127 * 1.5, 255],
    [2 ** 128, 255],
  ])("encodes %d as %i", (value, code) => {
    expect(format.encode(value, false)).toBe(code);
  });

  it("rounds to the nearest power of two, the middle to the greater", () => {
    for (let exponent = -127; exponent < 127; exponent++) {
      const low = 2 ** exponent;
      for (const [value, expected] of [
        [low, low],
        [neighbour(1.5 * low, false), low],
        [1.5 * low, 2 * low],
        [neighbour(2 * low, false), 2 * low],
      ] as const) {
        expect(format.decode(format.encode(value, false))).toBe(expected);
      }
    }
  });
});
