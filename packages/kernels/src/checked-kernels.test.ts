import { describe, expect, it } from "vitest";
import type { DequantizeParams, MeasureErrorParams, QuantizeParams } from "./index.ts";
import { allKernels, rowSize } from "./testing/backends.ts";

const kernels = await allKernels();

function quantizeParams(): QuantizeParams {
  return {
    type: "Q8_0",
    sourceType: "F32",
    source: new Uint8Array(2 * 64 * 4),
    target: new Uint8Array(2 * 2 * 34),
    rows: 2,
    columns: 64,
  };
}

function dequantizeParams(): DequantizeParams {
  return {
    type: "Q8_0",
    source: new Uint8Array(2 * 2 * 34),
    target: new Float32Array(2 * 64),
    rows: 2,
    columns: 64,
  };
}

function measureParams(): MeasureErrorParams {
  return {
    type: "Q8_0",
    sourceType: "F32",
    source: new Uint8Array(2 * 64 * 4),
    quantized: new Uint8Array(2 * 2 * 34),
    rows: 2,
    columns: 64,
  };
}

function importance(column: number, value: number): Float32Array {
  return new Float32Array(64).fill(1).fill(value, column, column + 1);
}

describe.each(kernels)("arguments of $info.isa kernels", (kernel) => {
  const { types, requiresImportance, quantize, dequantize, measureError } = kernel;

  it.each<[string, object, string]>([
    ["type", { type: "Q9_9" }, 'unknown type "Q9_9"; there are F32, F16, BF16, '],
    ["type, which only sources have,", { type: "F64" }, 'unknown type "F64"; there are F32, F16, BF16, '],
    [
      "source type",
      { sourceType: "I8" },
      'unknown source type "I8"; there are F64, F32, F16, BF16, F8_E4M3, F8_E5M2, Q4_0, ',
    ],
    ["fraction of a row", { rows: 1.5 }, "rows must be an integer from 0 to 2147483647, not 1.5"],
    ["negative rows", { rows: -1 }, "rows must be an integer from 0 to 2147483647, not -1"],
    ["NaN columns", { columns: NaN }, "columns must be an integer from 0 to 2147483647, not NaN"],
    [
      "too many columns",
      { columns: 2 ** 31 },
      "columns must be an integer from 0 to 2147483647, not 2147483648",
    ],
    ["part of a block", { columns: 48 }, "Q8_0 needs columns in multiples of 32, but there are 48"],
    [
      "part of a block of the source",
      { sourceType: "Q4_K" },
      "Q4_K needs columns in multiples of 256, but there are 64",
    ],
    [
      "source of blocks",
      { sourceType: "Q4_0" },
      "source has 512 bytes, but 2 x 64 weights of type Q4_0 take 72",
    ],
    [
      "short source",
      { source: new Uint8Array(511) },
      "source has 511 bytes, but 2 x 64 weights of type F32 take 512",
    ],
    [
      "long source",
      { source: new Uint8Array(513) },
      "source has 513 bytes, but 2 x 64 weights of type F32 take 512",
    ],
    ["source kind", { source: new Float32Array(512) }, "source must be a Uint8Array"],
    [
      "short target",
      { target: new Uint8Array(135) },
      "target has 135 bytes, but 2 x 64 weights of type Q8_0 take 136",
    ],
    ["target kind", { target: [] }, "target must be a Uint8Array"],
    [
      "importance length",
      { importance: new Float32Array(63) },
      "importance has 63 elements, but 64 columns take 64",
    ],
    ["importance kind", { importance: new Float64Array(64) }, "importance must be a Float32Array"],
    [
      "NaN",
      { importance: importance(5, NaN) },
      "importance of column 5 is NaN, but must be finite and not negative",
    ],
    [
      "infinity",
      { importance: importance(0, Infinity) },
      "importance of column 0 is Infinity, but must be finite and not negative",
    ],
    [
      "negative importance",
      { importance: importance(63, -2) },
      "importance of column 63 is -2, but must be finite and not negative",
    ],
  ])("quantize refuses a wrong %s", (_, wrong, message) => {
    expect(() => quantize({ ...quantizeParams(), ...wrong })).toThrow(
      expect.objectContaining({
        code: "KERNEL_ARGUMENT",
        message: expect.stringContaining(message) as string,
      }),
    );
  });

  it.each<[string, object, string]>([
    ["type", { type: "" }, 'unknown type ""; there are '],
    ["part of a block", { columns: 1 }, "Q8_0 needs columns in multiples of 32, but there are 1"],
    ["source", { source: new Uint8Array(0) }, "source has 0 bytes, but 2 x 64 weights of type Q8_0 take 136"],
    ["target", { target: new Float32Array(129) }, "target has 129 elements, but 2 x 64 weights take 128"],
    ["target kind", { target: new Float64Array(128) }, "target must be a Float32Array"],
  ])("dequantize refuses a wrong %s", (_, wrong, message) => {
    expect(() => dequantize({ ...dequantizeParams(), ...wrong })).toThrow(
      expect.objectContaining({
        code: "KERNEL_ARGUMENT",
        message: expect.stringContaining(message) as string,
      }),
    );
  });

  it.each<[string, object, string]>([
    ["type", { type: "I8" }, 'unknown type "I8"; there are F64, '],
    ["source type", { sourceType: "I8" }, 'unknown source type "I8"; there are F64, '],
    ["fraction of a row", { rows: 1.5 }, "rows must be an integer from 0 to 2147483647, not 1.5"],
    ["part of a block", { columns: 48 }, "Q8_0 needs columns in multiples of 32, but there are 48"],
    [
      "source",
      { source: new Uint8Array(511) },
      "source has 511 bytes, but 2 x 64 weights of type F32 take 512",
    ],
    [
      "length",
      { quantized: new Uint8Array(135) },
      "quantized has 135 bytes, but 2 x 64 weights of type Q8_0 take 136",
    ],
    ["kind", { quantized: new Float32Array(34) }, "quantized must be a Uint8Array"],
  ])("measureError refuses a wrong %s", (_, wrong, message) => {
    expect(() => measureError({ ...measureParams(), ...wrong })).toThrow(
      expect.objectContaining({
        code: "KERNEL_ARGUMENT",
        message: expect.stringContaining(message) as string,
      }),
    );
  });

  it("takes what fits", () => {
    expect(quantize(quantizeParams())).toBeUndefined();
    expect(quantize({ ...quantizeParams(), importance: importance(3, 0) })).toBeUndefined();
    expect(() => dequantize(dequantizeParams())).not.toThrow();
    expect(() => measureError(measureParams())).not.toThrow();
  });

  it("says which types require importance, and refuses them without", () => {
    const required = types.filter(requiresImportance);
    expect(required).toEqual(expect.arrayContaining(["IQ1_S", "IQ2_XXS", "IQ2_XS"]));
    expect(required).not.toContain("IQ1_M");
    expect(required).not.toContain("IQ2_S");
    for (const type of required) {
      const [source, target] = [new Uint8Array(256 * 4), new Uint8Array(rowSize(type, 256))];
      const params = { type, sourceType: "F32", source, target, rows: 1, columns: 256 } as const;
      expect(() => quantize(params)).toThrow(
        expect.objectContaining({
          code: "KERNEL_ARGUMENT",
          message: `${type} cannot be quantized without importance`,
        }),
      );
      expect(quantize({ ...params, importance: new Float32Array(256) })).toBeUndefined();
    }
    expect(() => requiresImportance("Q9_9")).toThrow(expect.objectContaining({ code: "KERNEL_ARGUMENT" }));
  });

  it("takes nothing at all", () => {
    const empty = { source: new Uint8Array(0), target: new Uint8Array(0) };
    expect(quantize({ ...quantizeParams(), ...empty, rows: 0 })).toBeUndefined();
    expect(quantize({ ...quantizeParams(), ...empty, columns: 0 })).toBeUndefined();
    expect(() =>
      dequantize({ ...dequantizeParams(), source: empty.source, target: new Float32Array(0), rows: 0 }),
    ).not.toThrow();
    const nothing = { ...measureParams(), source: empty.source, quantized: empty.target };
    expect(measureError({ ...nothing, rows: 0 }).squaredErrors).toEqual(new Float64Array(0));
    expect(measureError({ ...nothing, columns: 0 }).squaredErrors).toEqual(new Float64Array(2));
  });
});
