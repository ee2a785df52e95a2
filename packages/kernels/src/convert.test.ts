// Source types against independent readings of their formats, and how quantize walks over rows of them.
import { describe, expect, it } from "vitest";
import type { KernelSourceType, Kernels } from "./index.ts";
import { allKernels, blockSize, bytesOf, rowSize } from "./testing/backends.ts";
import { gaussianWeights } from "./testing/weights.ts";
import { createRandom } from "./testing/random.ts";

const kernels = await allKernels();

/** Value of a code of `exponentBits` and `mantissaBits` with an IEEE-like bias; `special` if its exponent is all ones. */
function decode(
  code: number,
  exponentBits: number,
  mantissaBits: number,
): { value: number; special: boolean } {
  const exponent = (code >> mantissaBits) & (2 ** exponentBits - 1);
  const mantissa = code & (2 ** mantissaBits - 1);
  const sign = code >> (exponentBits + mantissaBits) === 1 ? -1 : 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  const fraction = mantissa / 2 ** mantissaBits;
  const value = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  return { value: sign * value, special: exponent === 2 ** exponentBits - 1 };
}

interface Format {
  readonly sourceType: KernelSourceType;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly finite: (code: number, special: boolean) => boolean;
}

const ieee = (_: number, special: boolean): boolean => !special;
const formats: readonly Format[] = [
  { sourceType: "F16", exponentBits: 5, mantissaBits: 10, finite: ieee },
  { sourceType: "BF16", exponentBits: 8, mantissaBits: 7, finite: ieee },
  { sourceType: "F8_E5M2", exponentBits: 5, mantissaBits: 2, finite: ieee },
  // No infinities; the largest exponent is an ordinary one except for one code, NaN.
  { sourceType: "F8_E4M3", exponentBits: 4, mantissaBits: 3, finite: (code) => (code & 0x7f) !== 0x7f },
];

function toF32(
  { quantize }: Kernels,
  sourceType: KernelSourceType,
  source: Uint8Array,
  columns: number,
  rows = 1,
) {
  const values = new Float32Array(rows * columns);
  const bad = quantize({ type: "F32", sourceType, source, target: bytesOf(values), rows, columns });
  return { values, bad };
}

function codesOf(codes: readonly number[], bits: number): Uint8Array {
  return bytesOf(bits === 16 ? Uint16Array.from(codes) : Uint8Array.from(codes));
}

function sourceBytes(
  { quantize }: Kernels,
  sourceType: "F64" | "F32" | "F16" | "BF16",
  weights: Float32Array,
): Uint8Array {
  if (sourceType === "F64") return bytesOf(Float64Array.from(weights));
  const target = new Uint8Array(rowSize(sourceType, weights.length));
  quantize({
    type: sourceType,
    sourceType: "F32",
    source: bytesOf(weights),
    target,
    rows: 1,
    columns: weights.length,
  });
  return target;
}

describe.each(kernels)("source types in $info.isa kernels", (kernel) => {
  it.each(formats)(
    "converts every finite $sourceType",
    ({ sourceType, exponentBits, mantissaBits, finite }) => {
      const bits = 1 + exponentBits + mantissaBits;
      const codes: number[] = [];
      const expected: number[] = [];
      for (let code = 0; code < 2 ** bits; code++) {
        const { value, special } = decode(code, exponentBits, mantissaBits);
        if (!finite(code, special)) continue;
        codes.push(code);
        expected.push(value);
      }
      const { values, bad } = toF32(kernel, sourceType, codesOf(codes, bits), codes.length);
      expect(bad).toBeUndefined();
      // Bits, since 0 and -0 are to be told apart.
      expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(Float32Array.from(expected).buffer));
    },
  );

  it.each(formats)(
    "refuses every other $sourceType",
    ({ sourceType, exponentBits, mantissaBits, finite }) => {
      const bits = 1 + exponentBits + mantissaBits;
      for (let code = 0; code < 2 ** bits; code++) {
        if (finite(code, decode(code, exponentBits, mantissaBits).special)) continue;
        expect(toF32(kernel, sourceType, codesOf([0, 0, code], bits), 3).bad).toEqual({
          fault: "not-finite",
          index: 2,
        });
      }
    },
  );

  it.each(formats.slice(0, 2))(
    "leaves every finite $sourceType as it is, and finds the first other one",
    ({ sourceType, exponentBits, mantissaBits }) => {
      const codes = Uint16Array.from({ length: 2 ** 16 }, (_, code) => code).filter(
        (code) => !decode(code, exponentBits, mantissaBits).special,
      );
      const copy = (source: Uint16Array) => {
        const target = new Uint8Array(source.byteLength);
        const shape = { rows: 1, columns: source.length };
        const bad = kernel.quantize({
          ...shape,
          type: sourceType,
          sourceType,
          source: bytesOf(source),
          target,
        });
        return { target, bad };
      };
      const { target, bad } = copy(codes);
      expect(bad).toBeUndefined();
      expect(Buffer.compare(target, bytesOf(codes))).toBe(0);
      for (const index of [0, 15, 2047, 2048, 30_001, codes.length - 1]) {
        const broken = codes.slice();
        broken.fill((2 ** exponentBits - 1) << mantissaBits, index);
        expect(copy(broken).bad).toEqual({ fault: "not-finite", index });
      }
    },
  );

  it("rounds F64 to the nearest F32", () => {
    const random = createRandom(7);
    const values = Float64Array.from(
      { length: 4099 },
      () => random.gaussian() * 2 ** (random.integer(265) - 145),
    );
    values.set([
      1 + 2 ** -24,
      1 + 3 * 2 ** -24,
      1 + 2 ** -24 + 2 ** -50,
      2 ** -150,
      -0,
      3.4028234663852886e38,
    ]);
    const converted = toF32(kernel, "F64", bytesOf(values), values.length);
    expect(converted.bad).toBeUndefined();
    expect(new Uint32Array(converted.values.buffer)).toEqual(
      new Uint32Array(Float32Array.from(values).buffer),
    );
  });

  it("takes an F64 beyond the range of F32 for an infinity", () => {
    expect(toF32(kernel, "F64", bytesOf(Float64Array.of(1, -1e39)), 2).bad).toEqual({
      fault: "not-finite",
      index: 1,
    });
  });

  it("finds the first NaN or infinity wherever it is", () => {
    const [rows, columns] = [40, 1024];
    for (const value of [NaN, Infinity, -Infinity]) {
      for (const index of [0, 1, 15, 16, 17_000, 16_383, 16_384, rows * columns - 1]) {
        const weights = new Float32Array(rows * columns).fill(3.4028234663852886e38);
        weights[index] = value;
        weights.fill(value, Math.min(index + 3, weights.length - 1));
        expect(toF32(kernel, "F32", bytesOf(weights), columns, rows).bad).toEqual({
          fault: "not-finite",
          index,
        });
      }
    }
  });

  it.each(["F64", "F32", "F16", "BF16"] as const)(
    "reads unaligned %s and writes unaligned blocks",
    (sourceType) => {
      const { weights, importance, rows, columns } = gaussianWeights(3, 256, 8);
      const aligned = sourceBytes(kernel, sourceType, weights);
      const shifted = new Uint8Array(aligned.length + 1).subarray(1);
      shifted.set(aligned);
      for (const type of kernel.types) {
        const quantized = new Uint8Array(rows * rowSize(type, columns));
        const target = new Uint8Array(quantized.length + 3).subarray(3);
        const shape = { type, sourceType, rows, columns, importance };
        expect(kernel.quantize({ ...shape, source: aligned, target: quantized })).toBeUndefined();
        expect(kernel.quantize({ ...shape, source: shifted, target })).toBeUndefined();
        expect(target).toEqual(quantized);
      }
    },
  );

  it("works on shared memory", () => {
    const { weights, rows, columns } = gaussianWeights(2, 256, 9);
    const size = rows * rowSize("Q4_K", columns);
    const source = new Uint8Array(new SharedArrayBuffer(weights.byteLength));
    const target = new Uint8Array(new SharedArrayBuffer(size));
    const expected = new Uint8Array(size);
    source.set(bytesOf(weights));
    const shape = { type: "Q4_K", sourceType: "F32", rows, columns } as const;
    expect(kernel.quantize({ ...shape, source, target })).toBeUndefined();
    expect(kernel.quantize({ ...shape, source: bytesOf(weights), target: expected })).toBeUndefined();
    expect(target.slice()).toEqual(expected);
    const values = new Float32Array(new SharedArrayBuffer(weights.byteLength));
    kernel.dequantize({ type: "Q4_K", source: target, target: values, rows, columns });
    expect(values.some((value) => value !== 0)).toBe(true);
  });

  it.each([
    [300, 96],
    [7, 6400],
    [3, 20_000 - (20_000 % 256)],
    [1, 70_144],
  ])("quantizes %i x %i the same in one go and row by row", (rows, columns) => {
    const { weights, importance } = gaussianWeights(rows, columns, 10);
    for (const type of kernel.types.filter((name) => columns % blockSize(name) === 0)) {
      const size = rowSize(type, columns);
      const whole = new Uint8Array(rows * size);
      const single = new Uint8Array(rows * size);
      const shape = { type, sourceType: "F32", columns, importance } as const;
      expect(kernel.quantize({ ...shape, rows, source: bytesOf(weights), target: whole })).toBeUndefined();
      for (let row = 0; row < rows; row++) {
        const source = bytesOf(weights.subarray(row * columns, (row + 1) * columns));
        const target = single.subarray(row * size, (row + 1) * size);
        expect(kernel.quantize({ ...shape, rows: 1, source, target })).toBeUndefined();
      }
      expect(Buffer.compare(single, whole)).toBe(0);
    }
  });
});
