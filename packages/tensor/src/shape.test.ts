import { describe, expect, it } from "vitest";
import { ELEMENT_TYPES, type ElementType, elementTypeTraits, isElementType } from "./element-type.ts";
import { byteSize, elementCount } from "./shape.ts";

describe("elementCount", () => {
  it.each([
    [[], 1],
    [[7], 7],
    [[2, 3, 4], 24],
    [[5, 0, 3], 0],
    [[0, 2 ** 40, 2 ** 40], 0],
    [[2 ** 26, 2 ** 26, 1], 2 ** 52],
    [[Number.MAX_SAFE_INTEGER], Number.MAX_SAFE_INTEGER],
  ])("%j has %i elements", (shape, count) => {
    expect(elementCount(shape)).toBe(count);
  });

  it.each([[[2 ** 53]], [[2 ** 27, 2 ** 26]], [[2 ** 40, 2 ** 40, 0]], [[2 ** 600, 2 ** 600]]])(
    "%j overflows",
    (shape) => {
      expect(() => elementCount(shape)).toThrow(expect.objectContaining({ code: "TENSOR_SHAPE_OVERFLOW" }));
    },
  );

  it.each([[[-1]], [[1.5]], [[Number.NaN]], [[2, Infinity]]])("%j is no shape", (shape) => {
    expect(() => elementCount(shape, { file: "a.safetensors", tensor: "w" })).toThrow(
      expect.objectContaining({
        code: "TENSOR_SHAPE_INVALID",
        message: expect.stringContaining('a.safetensors: tensor "w": shape') as string,
        subject: { file: "a.safetensors", tensor: "w" },
      }),
    );
  });
});

describe("byteSize", () => {
  it("multiplies by the bits of the type", () => {
    const sizes = Object.keys(ELEMENT_TYPES).map((type) => [
      type,
      byteSize({ type: type as ElementType, shape: [2, 3] }),
    ]);
    expect(Object.fromEntries(sizes)).toEqual({
      F64: 48,
      I64: 48,
      U64: 48,
      F32: 24,
      I32: 24,
      U32: 24,
      F16: 12,
      BF16: 12,
      I16: 12,
      U16: 12,
      F8_E4M3: 6,
      F8_E5M2: 6,
      F8_E8M0: 6,
      I8: 6,
      U8: 6,
      BOOL: 6,
      F4: 3,
    });
  });

  it("refuses packed types that end inside a byte", () => {
    expect(() => byteSize({ type: "F4", shape: [3, 5] })).toThrow(
      expect.objectContaining({ code: "TENSOR_SHAPE_NOT_WHOLE_BYTES" }),
    );
  });

  it("refuses sizes that only overflow in bits", () => {
    expect(byteSize({ type: "U8", shape: [2 ** 49] })).toBe(2 ** 49);
    expect(() => byteSize({ type: "U8", shape: [2 ** 50] })).toThrow(
      expect.objectContaining({ code: "TENSOR_SHAPE_OVERFLOW" }),
    );
  });
});

describe("element types", () => {
  it("names every type after its key", () => {
    for (const [key, traits] of Object.entries(ELEMENT_TYPES)) expect(traits.name).toBe(key);
  });

  it("knows its names only", () => {
    expect(isElementType("BF16")).toBe(true);
    for (const name of ["bf16", "Q4_K", "", "toString", "__proto__"]) {
      expect(isElementType(name)).toBe(false);
      expect(() => elementTypeTraits(name as ElementType)).toThrow(
        expect.objectContaining({ code: "TENSOR_TYPE_UNKNOWN" }),
      );
    }
  });
});
