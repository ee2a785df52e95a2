import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { DYNAMIC_VALUES } from "../codes/bitsandbytes-tables.ts";
import { flattened } from "../matrix.ts";
import { nestScales } from "../nested-scales.ts";
import { dequantizeMatrix, folded } from "../quantized-matrix.ts";
import { nearest } from "../roundings/nearest.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import { gaussian } from "../testing/random.ts";
import { uniform } from "./uniform.ts";
import { fp4, int8Vectorwise, nf4 } from "./bitsandbytes.ts";

interface FourBitCase {
  readonly kind: "nf4" | "fp4";
  readonly rows: number;
  readonly columns: number;
  readonly weights: string;
  readonly packed: string;
  readonly absmax: string;
  readonly values: string;
}

interface Results {
  readonly fourBit: readonly FourBitCase[];
  readonly nested: readonly Record<"plainAbsmax" | "absmax" | "offset" | "nestedAbsmax", string>[];
  readonly int8: { readonly rows: number; readonly columns: number } & Record<
    "weights" | "codes" | "scales",
    string
  >;
}

let results: Results;
beforeAll(async () => {
  const file = new URL("../../../../fixtures/bitsandbytes/results.json", import.meta.url);
  results = JSON.parse(await readFile(file, "utf8")) as Results;
});

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const floats = (hex: string): Float32Array => new Float32Array(bytes(hex).buffer);
const GRIDS = { nf4, fp4 };

describe("4 bits", () => {
  it("are those of bitsandbytes, to the bit", () => {
    expect(results.fourBit).toHaveLength(6);
    for (const { kind, rows, columns, weights, packed, absmax, values } of results.fourBit) {
      const matrix = flattened({ rows, columns, values: floats(weights) });
      const { codes, grid } = roundMatrix({ matrix, grid: GRIDS[kind](), rounding: nearest() });
      // The first of two codes is in the high half of a byte.
      const halves = [...bytes(packed)].flatMap((byte) => [byte >>> 4, byte & 15]);
      expect([...codes]).toEqual(halves.slice(0, codes.length));
      const result = grid.result(codes);
      expect(result.scales).toEqual(floats(absmax));
      expect(dequantizeMatrix(result)).toEqual(floats(values));
    }
  });
});

describe("blocks that straddle rows", () => {
  it("become narrower tiles of the matrix, which mean the same", () => {
    for (const [rows, columns, width] of [
      [6, 48, 16],
      [3, 50, 2],
      [4, 64, 64],
      [2, 192, 64],
    ] as const) {
      const matrix = { rows, columns, values: gaussian(rows * columns, 9) };
      const { codes, grid, values } = roundMatrix({
        matrix: flattened(matrix),
        grid: nf4(),
        rounding: nearest(),
      });
      const result = folded(grid.result(codes), { rows, columns });
      expect(result).toMatchObject({
        rows,
        columns,
        codes,
        tile: { rows: 1, columns: width },
      });
      expect(dequantizeMatrix(result)).toEqual(values);
      const affine = uniform({ bits: 4, symmetric: false, tile: { columns: 64 } });
      const rounded = roundMatrix({ matrix: flattened(matrix), grid: affine, rounding: nearest() });
      expect(dequantizeMatrix(folded(rounded.grid.result(rounded.codes), matrix))).toEqual(rounded.values);
    }
  });
});

describe("double quantization", () => {
  it("is that of bitsandbytes", () => {
    const { plainAbsmax, absmax, offset, nestedAbsmax } = results.nested[0]!;
    const found = nestScales(floats(plainAbsmax));
    // The mean is summed in another order there.
    expect(Math.abs(found.offset - floats(offset)[0]!)).toBeLessThan(found.offset * 2 ** -22);
    expect(
      [...found.absmax].map((value, i) => Math.abs(value - floats(nestedAbsmax)[i]!) < 2e-7),
    ).not.toContain(false);
    const different = [...found.codes].filter((code, i) => code !== bytes(absmax)[i]);
    expect(different.length).toBeLessThanOrEqual(1);
  });

  it("keeps codes that the scales gave before, and says how scales are stored", () => {
    const matrix = { rows: 3, columns: 192, values: gaussian(576, 4) };
    const plain = roundMatrix({ matrix, grid: nf4(), rounding: nearest() });
    const double = roundMatrix({ matrix, grid: nf4({ doubleQuantization: true }), rounding: nearest() });
    expect(double.codes).toEqual(plain.codes);
    const { scales, scaleParts } = double.grid.result(double.codes);
    if (scaleParts?.kind !== "nested") throw new Error("no nested scales");
    expect(scaleParts.codes).toHaveLength(9);
    const again = [...scaleParts.codes].map((code) =>
      Math.fround(Math.fround(DYNAMIC_VALUES[code]! * scaleParts.absmax[0]!) + scaleParts.offset),
    );
    expect([...scales]).toEqual(again);
    expect(scales).not.toEqual(plain.grid.result(plain.codes).scales);
    expect(double.values).toEqual(dequantizeMatrix(double.grid.result(double.codes)));
  });

  it("has a map that is symmetric and ascending", () => {
    expect(DYNAMIC_VALUES).toHaveLength(256);
    expect([...DYNAMIC_VALUES]).toEqual([...DYNAMIC_VALUES].sort((a, b) => a - b));
    expect([DYNAMIC_VALUES[127], DYNAMIC_VALUES[255]]).toEqual([0, 1]);
  });
});

describe("LLM.int8()", () => {
  it("is that of bitsandbytes", () => {
    const { rows, columns, weights, codes, scales } = results.int8;
    const matrix = { rows, columns, values: floats(weights) };
    const rounded = roundMatrix({ matrix, grid: int8Vectorwise(), rounding: nearest() });
    expect(rounded.codes.map((code) => code - 128)).toEqual(bytes(codes));
    const result = rounded.grid.result(rounded.codes);
    expect(result.scales).toEqual(floats(scales).map((magnitude) => magnitude / 127));
    expect(result.zeros).toEqual(new Uint8Array(rows).fill(128));
  });
});

it("gives zeros for zeros", () => {
  const matrix = { rows: 2, columns: 64, values: new Float32Array(128) };
  for (const grid of [nf4(), fp4(), int8Vectorwise()]) {
    const { values } = roundMatrix({ matrix, grid, rounding: nearest() });
    expect(values.every((value) => value === 0)).toBe(true);
  }
});
