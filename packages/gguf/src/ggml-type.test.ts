import { describe, expect, it } from "vitest";
import { GGML_TYPES, ggmlType, ggmlTypeById, isGgmlType, rowSize, tensorSize } from "./index.ts";

const HALF = 2;
const K = 256;

/** Sizes of the block structs, from their fields (ggml-common.h). */
const BLOCK_BYTES: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I8: 1,
  I16: 2,
  I32: 4,
  I64: 8,
  Q1_0: HALF + 128 / 8,
  Q2_0: HALF + 64 / 4,
  Q4_0: HALF + 32 / 2,
  Q4_1: 2 * HALF + 32 / 2,
  Q5_0: HALF + 4 + 32 / 2,
  Q5_1: 2 * HALF + 4 + 32 / 2,
  Q8_0: HALF + 32,
  Q8_1: 2 * HALF + 32,
  MXFP4: 1 + 32 / 2,
  NVFP4: 64 / 16 + 64 / 2,
  Q2_K: 2 * HALF + K / 16 + K / 4,
  Q3_K: HALF + K / 4 + K / 8 + 12,
  Q4_K: 2 * HALF + 12 + K / 2,
  Q5_K: 2 * HALF + 12 + K / 2 + K / 8,
  Q6_K: HALF + K / 16 + (3 * K) / 4,
  Q8_K: 4 + K + (K / 16) * 2,
  TQ1_0: HALF + K / 64 + (K - (4 * K) / 64) / 5,
  TQ2_0: HALF + K / 4,
  IQ1_S: HALF + K / 8 + K / 16,
  IQ1_M: K / 8 + K / 16 + K / 32,
  IQ2_XXS: HALF + (K / 8) * 2,
  IQ2_XS: HALF + (K / 8) * 2 + K / 32,
  IQ2_S: HALF + K / 4 + K / 16,
  IQ3_XXS: HALF + (3 * K) / 8,
  IQ3_S: HALF + 13 * (K / 32) + K / 64,
  IQ4_NL: HALF + 32 / 2,
  IQ4_XS: HALF + 2 + K / 64 + K / 2,
};

describe("the table of types", () => {
  it("has the sizes of ggml's structs", () => {
    expect(Object.fromEntries(GGML_TYPES.map(({ name, typeSize }) => [name, typeSize]))).toEqual(BLOCK_BYTES);
  });

  it("is found by name and id", () => {
    expect(new Set(GGML_TYPES.map(({ id }) => id)).size).toBe(GGML_TYPES.length);
    for (const type of GGML_TYPES) {
      expect(ggmlType(type.name)).toBe(type);
      expect(ggmlTypeById(type.id)).toBe(type);
      expect(isGgmlType(type.name)).toBe(true);
    }
    expect(isGgmlType("q4_K")).toBe(false);
  });

  it("names what it does not know", () => {
    expect(() => ggmlType("Q9_K")).toThrow(
      expect.objectContaining({ code: "GGML_TYPE_UNKNOWN", message: expect.stringContaining('"Q9_K"') }),
    );
    expect(() => ggmlTypeById(33)).toThrow(/33 \(Q4_0_8_8\) has been removed/);
    expect(() => ggmlTypeById(43)).toThrow(/unknown ggml type 43/);
  });
});

describe("sizes", () => {
  it("counts whole blocks", () => {
    expect(rowSize("F16", 5)).toBe(10);
    expect(rowSize("Q4_K", 4096)).toBe(16 * 144);
    expect(rowSize(ggmlType("Q8_0"), 0)).toBe(0);
    expect(tensorSize("Q6_K", [4096, 11008])).toBe(16 * 210 * 11008);
    expect(tensorSize("F32", [2, 3, 4, 5])).toBe(480);
    expect(tensorSize("F32", [2, 0, 4])).toBe(0);
    expect(tensorSize("F32", [])).toBe(4);
  });

  it.each([255, 257, -256, 0.5, Number.NaN, Infinity])("refuses rows of %s columns", (columns) => {
    expect(() => rowSize("Q4_K", columns)).toThrow(expect.objectContaining({ code: "GGML_ROW_INVALID" }));
  });

  it.each([[[-1]], [[1.5]], [[2, Number.NaN]], [[2 ** 30, 2 ** 30]], [[2 ** 52, 1]]])(
    "refuses shape %j",
    (ne) => {
      expect(() => tensorSize("F32", ne)).toThrow(expect.objectContaining({ code: "GGML_SHAPE_INVALID" }));
    },
  );
});
