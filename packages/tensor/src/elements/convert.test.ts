import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ELEMENT_TYPES, type ElementType } from "../element-type.ts";
import { decodeElements, encodeElements } from "./convert.ts";

const TYPES = Object.keys(ELEMENT_TYPES) as ElementType[];

/** Values that every element type holds exactly. */
const COMMON: Readonly<Record<ElementType, readonly number[]>> = {
  F64: [0, -1.5, 1e300, 5e-324, Infinity, -Infinity],
  F32: [0, -1.5, 2 ** -149, 3.4028234663852886e38, Infinity],
  F16: [0, -0, 65504, 2 ** -24, -Infinity],
  BF16: [0, -0, 2 ** -133, 3.3895313892515355e38, -Infinity],
  F8_E4M3: [0, -0, 448, 2 ** -9, -1.125],
  F8_E5M2: [0, -0, 57344, 2 ** -16, -Infinity],
  F8_E8M0: [1, 2 ** -127, 2 ** 127, 0.5],
  F4: [0, -0, 0.5, -6, 3, 1.5],
  I64: [0, -1, -(2 ** 63), 2 ** 53, Number.MAX_SAFE_INTEGER],
  I32: [0, -1, -(2 ** 31), 2 ** 31 - 1],
  I16: [0, -1, -(2 ** 15), 2 ** 15 - 1],
  I8: [0, -1, -128, 127],
  U64: [0, 1, 2 ** 63, 2 ** 64 - 2048],
  U32: [0, 1, 2 ** 32 - 1],
  U16: [0, 1, 65535],
  U8: [0, 1, 255],
  BOOL: [0, 1, 1, 0],
};

describe.each(TYPES)("%s", (type) => {
  const values = COMMON[type];

  it("round-trips values that it holds", () => {
    const bytes = encodeElements({ type, values });
    expect(bytes.byteLength).toBe((values.length * ELEMENT_TYPES[type].bits) / 8);
    const decoded = decodeElements({ type, bytes, into: new Float64Array(values.length) });
    expect([...decoded]).toEqual(values);
  });

  it("reads and writes at odd addresses, into arrays of the caller's", () => {
    const size = encodeElements({ type, values }).byteLength;
    const memory = new Uint8Array(size + 4).fill(0xee);
    const encoded = encodeElements({ type, values, into: memory.subarray(1) });
    expect(encoded.byteLength).toBe(size);
    expect([memory[0], ...memory.subarray(1 + size)]).toEqual([0xee, 0xee, 0xee, 0xee]);
    const into = new Float64Array(values.length + 2).fill(7);
    const decoded = decodeElements({ type, bytes: encoded, count: values.length, into });
    expect([...decoded]).toEqual(values);
    expect(decoded.buffer).toBe(into.buffer);
    expect([...into.subarray(values.length)]).toEqual([7, 7]);
  });

  it("takes no bytes for no elements", () => {
    expect(decodeElements({ type, bytes: encodeElements({ type, values: [] }) })).toEqual(
      new Float32Array(0),
    );
  });
});

describe("byte order and packing", () => {
  it.each<[ElementType, number[], number[]]>([
    ["F64", [1], [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]],
    ["F32", [1, Number.NaN], [0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f]],
    ["F16", [1], [0, 0x3c]],
    ["BF16", [-2], [0, 0xc0]],
    ["I64", [-2], [0xfe, 255, 255, 255, 255, 255, 255, 255]],
    ["U64", [2 ** 63], [0, 0, 0, 0, 0, 0, 0, 0x80]],
    ["I16", [-2], [0xfe, 0xff]],
    ["U32", [0x01020304], [4, 3, 2, 1]],
    ["F4", [0.5, 6, -1], [0x71, 0x0a]],
  ])("%s %j", (type, values, bytes) => {
    expect([...encodeElements({ type, values })]).toEqual(bytes);
  });

  it("unpacks an odd number of F4", () => {
    const bytes = Uint8Array.of(0x71, 0x0a);
    expect([...decodeElements({ type: "F4", bytes, count: 3 })]).toEqual([0.5, 6, -1]);
    expect([...decodeElements({ type: "F4", bytes })]).toEqual([0.5, 6, -1, 0]);
  });

  it("takes any byte but 0 for true", () => {
    expect([...decodeElements({ type: "BOOL", bytes: Uint8Array.of(0, 1, 2, 255) })]).toEqual([0, 1, 1, 1]);
  });
});

describe("rounding", () => {
  it("rounds once, not first to float32", () => {
    // 1 + 2^-8 is a tie of BF16; the float64 just above it would become that tie in float32.
    const [code] = new Uint16Array(encodeElements({ type: "BF16", values: [1 + 2 ** -8 + 2 ** -40] }).buffer);
    expect(code).toBe(0x3f81);
  });

  it("rounds float64 to float32 when asked for float32", () => {
    const bytes = encodeElements({ type: "F64", values: [0.1, 1e300] });
    expect([...decodeElements({ type: "F64", bytes })]).toEqual([Math.fround(0.1), Infinity]);
  });

  it("passes the overflow policy on", () => {
    const values = [1e9, -Infinity];
    const back = (type: ElementType, saturate: boolean): number[] => [
      ...decodeElements({ type, bytes: encodeElements({ type, values, saturate }) }),
    ];
    expect(back("F8_E4M3", false)).toEqual([Number.NaN, Number.NaN]);
    expect(back("F8_E4M3", true)).toEqual([448, -448]);
    expect(back("F16", true)).toEqual([65504, -65504]);
    expect(back("F4", false)).toEqual([6, -6]);
  });
});

/** The float of a given width nearest to an integer, found among candidates by exact distance. */
function nearestFloat(value: bigint, array: Float32Array | Float64Array): number {
  const bits = array instanceof Float32Array ? new Int32Array(array.buffer) : new BigInt64Array(array.buffer);
  array[0] = Number(value);
  const centre = bits[0]!;
  let best: { float: number; distance: bigint; even: boolean } | undefined;
  for (const step of [-1, 0, 1]) {
    bits[0] = typeof centre === "bigint" ? centre + BigInt(step) : centre + step;
    const float = array[0];
    if (!Number.isInteger(float)) continue;
    const difference = BigInt(float) - value;
    const distance = difference < 0n ? -difference : difference;
    const even = BigInt(bits[0]) % 2n === 0n;
    if (best === undefined || distance < best.distance || (distance === best.distance && even)) {
      best = { float, distance, even };
    }
  }
  return best!.float;
}

describe("64-bit integers", () => {
  const signed = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
    // Near the ties of float32.
    fc
      .tuple(
        fc.bigInt({ min: 2n ** 23n, max: 2n ** 24n }),
        fc.integer({ min: 0, max: 38 }),
        fc.integer({ min: -2, max: 2 }),
      )
      .map(([n, shift, delta]) => ((2n * n + 1n) << BigInt(shift)) + BigInt(delta))
      .filter((n) => n < 2n ** 63n),
  );

  it.each([Float32Array, Float64Array])("are rounded once (%o)", (array) => {
    fc.assert(
      fc.property(signed, (value) => {
        const bytes = new Uint8Array(BigInt64Array.of(value).buffer);
        expect(decodeElements({ type: "I64", bytes, into: new array(1) })[0]).toBe(
          nearestFloat(value, new array(1)),
        );
        const unsigned = BigInt.asUintN(64, value);
        expect(decodeElements({ type: "U64", bytes, into: new array(1) })[0]).toBe(
          nearestFloat(unsigned, new array(1)),
        );
      }),
      { numRuns: 5000 },
    );
  });
});

describe("errors", () => {
  it.each<[ElementType, number]>([
    ["U8", 256],
    ["U8", -1],
    ["I8", 128],
    ["I16", 0.5],
    ["I32", Number.NaN],
    ["U32", Infinity],
    ["I64", 2 ** 63],
    ["U64", 2 ** 64],
    ["U64", -1],
    ["BOOL", 2],
    ["F4", Number.NaN],
  ])("%s does not hold %d", (type, value) => {
    expect(() => encodeElements({ type, values: [0, 1, value] })).toThrow(
      expect.objectContaining({
        code: "TENSOR_VALUE_NOT_REPRESENTABLE",
        subject: { offset: 2 },
        message: expect.stringContaining(`element 2 is ${value}`) as string,
      }),
    );
  });

  it("refuses bytes of another size than the elements take", () => {
    for (const params of [
      { type: "F32", bytes: new Uint8Array(6) },
      { type: "F32", bytes: new Uint8Array(8), count: 1 },
      { type: "F4", bytes: new Uint8Array(2), count: 2 },
      { type: "F4", bytes: new Uint8Array(1), count: 3 },
      { type: "U8", bytes: new Uint8Array(1), count: -1 },
      { type: "F32", bytes: new Uint8Array(6), count: 1.5 },
    ] as const) {
      expect(() => decodeElements(params)).toThrow(
        expect.objectContaining({ code: "TENSOR_BYTES_MISMATCH" }),
      );
    }
  });

  it("refuses arrays that are too short", () => {
    const tooSmall = expect.objectContaining({ code: "TENSOR_BUFFER_TOO_SMALL" }) as Error;
    expect(() => decodeElements({ type: "U8", bytes: new Uint8Array(2), into: new Float32Array(1) })).toThrow(
      tooSmall,
    );
    expect(() => encodeElements({ type: "F16", values: [1], into: new Uint8Array(1) })).toThrow(tooSmall);
  });
});
