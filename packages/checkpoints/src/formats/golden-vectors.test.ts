import { DYNAMIC_VALUES, NF4_VALUES, type QuantizedMatrix } from "@quern/quantize";
import { describe, expect, it } from "vitest";
import { layerOf } from "../testing/random-layer.ts";
import { packBits, unpackBits } from "./bit-packing.ts";
import { dequantize } from "./dequantize.ts";
import type { Layer, LayerConstants, LayerParameters, PartBytes } from "./format.ts";
import { packLayer, unpackLayer } from "./layer.ts";
import { formatOf } from "./registry.ts";
import { E2M1_VALUES } from "./values.ts";

/*
 * Words and bytes that the packers of the other projects write for these codes (AutoGPTQ, AutoAWQ, bitsandbytes, compressed-tensors,
 * MLX), each packed and unpacked.
 */

function words(bytes: Uint8Array | undefined): string[] {
  const view = new DataView(bytes!.buffer, bytes!.byteOffset, bytes!.byteLength);
  return Array.from({ length: bytes!.byteLength / 4 }, (_, index) =>
    view
      .getUint32(index * 4, true)
      .toString(16)
      .padStart(8, "0"),
  );
}

/** Codes row by row, one scale for all and the zero of the middle unless another is given. */
function matrixOf(
  layer: Layer,
  code: (row: number, column: number) => number,
  more: Partial<QuantizedMatrix> = {},
  scale = 1,
): QuantizedMatrix {
  const { rows, columns, parameters } = layer;
  const tileColumns = parameters.tile.columns === "all" ? columns : parameters.tile.columns;
  const tiles = rows * Math.ceil(columns / tileColumns);
  return {
    rows,
    columns,
    bits: parameters.bits,
    codes: Uint8Array.from({ length: rows * columns }, (_, index) =>
      code(Math.floor(index / columns), index % columns),
    ),
    tile: { rows: 1, columns: tileColumns },
    scales: new Float32Array(tiles).fill(scale),
    ...(more.values === undefined && more.offsets === undefined
      ? { zeros: new Uint8Array(tiles).fill(2 ** (parameters.bits - 1)) }
      : {}),
    ...more,
  };
}

/** Packs, and checks that unpacking gives the same codes back. */
function bothWays(
  name: string,
  layer: Layer,
  matrix: QuantizedMatrix,
  constants: LayerConstants = {},
): PartBytes {
  const format = formatOf(name);
  const bytes = packLayer({ format, layer, matrix, constants, module: "m" });
  const unpacked = unpackLayer({ format, layer, bytes, module: "m" });
  expect(unpacked.codes).toEqual(matrix.codes);
  expect(unpacked.scales).toEqual(matrix.scales);
  expect(unpacked.zeros).toEqual(matrix.zeros);
  return bytes;
}

describe("GPTQ", () => {
  const layer = (bits: number, more: Partial<LayerParameters> = {}): Layer =>
    layerOf(32, 32, { bits, ...more });

  it("packs codes along inputs", () => {
    const bytes = bothWays(
      "gptq",
      layer(4),
      matrixOf(layer(4), (_, column) => (column % 8) + 1),
    );
    expect(words(bytes.get(".qweight")).every((word) => word === "87654321")).toBe(true);
    expect([...bytes.get(".qweight")!.subarray(0, 4)]).toEqual([0x21, 0x43, 0x65, 0x87]);
  });

  it("lets 3-bit codes straddle words", () => {
    const counting = bothWays(
      "gptq",
      layer(3),
      matrixOf(layer(3), (_, column) => column % 8),
    );
    const byColumn = words(counting.get(".qweight"));
    expect([byColumn[0], byColumn[32], byColumn[64]]).toEqual(["88fac688", "c688fac6", "fac688fa"]);
    const few: Readonly<Record<number, number>> = { 0: 7, 10: 5, 21: 6 };
    const straddling = bothWays(
      "gptq",
      layer(3),
      matrixOf(layer(3), (_, column) => few[column] ?? 0),
    );
    const some = words(straddling.get(".qweight"));
    expect([some[0], some[32], some[64]]).toEqual(["40000007", "00000001", "00000003"]);
  });

  it.each([
    [2, ["55555555"], ["aaaaaaaa"]],
    [3, ["db6db6db", "b6db6db6", "6db6db6d"], ["24924924", "49249249", "92492492"]],
    [4, ["77777777"], ["88888888"]],
    [8, ["7f7f7f7f"], ["80808080"]],
  ])("has constant zeros where it is symmetric: %i bits", (bits, v1, v2) => {
    const matrix = matrixOf(layer(bits), () => 1);
    const zeros = (name: string): string[] => words(bothWays(name, layer(bits), matrix).get(".qzeros"));
    expect(zeros("gptq").slice(0, v1.length)).toEqual(v1);
    expect(zeros("gptq-v2").slice(0, v2.length)).toEqual(v2);
  });

  it("reads a zero of 0 that v1 stores as 15, and does not write it", () => {
    const asymmetric = layer(4, { symmetric: false });
    const matrix = matrixOf(asymmetric, () => 3, { zeros: new Uint8Array(32) });
    const format = formatOf("gptq");
    expect(() => packLayer({ format, layer: asymmetric, matrix, module: "m" })).toThrow(
      expect.objectContaining({ code: "FORMAT_MATRIX_INVALID" }),
    );
    const bytes = new Map(packLayer({ format: formatOf("gptq-v2"), layer: asymmetric, matrix, module: "m" }));
    bytes.set(
      ".qzeros",
      bytes.get(".qzeros")!.map(() => 0xff),
    );
    expect(unpackLayer({ format, layer: asymmetric, bytes, module: "m" }).zeros).toEqual(matrix.zeros);
  });
});

describe("AWQ", () => {
  it("interleaves outputs", () => {
    const layer = layerOf(8, 32);
    const bytes = bothWays(
      "awq",
      layer,
      matrixOf(layer, (row) => row),
    );
    expect(words(bytes.get(".qweight"))).toEqual(Array.from({ length: 32 }, () => "75316420"));
    expect(words(bytes.get(".qzeros"))).toEqual(["88888888"]);
  });
});

describe("bitsandbytes", () => {
  const nf4 = layerOf(1, 64, { tile: { rows: 1, columns: 64 }, scaleType: "F32" });

  it("puts the first code in the high nibble", () => {
    const codes = [10, 2, 9, 15];
    const matrix = matrixOf(nf4, (_, column) => codes[column] ?? 7, { values: NF4_VALUES }, 2);
    const bytes = bothWays("bnb-nf4", nf4, matrix);
    expect([...bytes.get(".weight")!.subarray(0, 2)]).toEqual([0xa2, 0x9f]);
    const state = JSON.parse(
      new TextDecoder().decode(bytes.get(".weight.quant_state.bitsandbytes__nf4")),
    ) as unknown;
    expect(state).toEqual({ quant_type: "nf4", blocksize: 64, dtype: "bfloat16", shape: [1, 64] });
  });

  it("has the map that bitsandbytes makes", () => {
    expect(DYNAMIC_VALUES).toHaveLength(256);
    expect(DYNAMIC_VALUES[127]).toBe(0);
    expect(DYNAMIC_VALUES[255]).toBe(1);
    expect(DYNAMIC_VALUES.every((value, index) => index === 0 || value > DYNAMIC_VALUES[index - 1]!)).toBe(
      true,
    );
    expect(Array.from({ length: 127 }, (_, index) => DYNAMIC_VALUES[index])).toEqual(
      Array.from({ length: 127 }, (_, index) => -DYNAMIC_VALUES[254 - index]!),
    );
  });
});

describe("compressed-tensors", () => {
  it("stores codes from -8 on", () => {
    const layer = layerOf(1, 8, { tile: { rows: 1, columns: "all" }, scaleType: "BF16" });
    const bytes = bothWays(
      "pack-quantized",
      layer,
      matrixOf(layer, (_, column) => column),
    );
    expect(words(bytes.get(".weight_packed"))).toEqual(["76543210"]);
    expect([...bytes.get(".weight_shape")!]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    expect(bytes.has(".weight_zero_point")).toBe(false);
  });

  it("packs zeros along outputs", () => {
    const layer = layerOf(8, 64, { symmetric: false, scaleType: "BF16" });
    const zeros = Uint8Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? index / 2 : 15));
    const bytes = bothWays(
      "pack-quantized",
      layer,
      matrixOf(layer, () => 1, { zeros }),
    );
    expect(words(bytes.get(".weight_zero_point"))).toEqual(["76543210", "ffffffff"]);
  });

  it("puts the first FP4 code in the low nibble", () => {
    const layer = layerOf(1, 16, { tile: { rows: 1, columns: 16 }, scaleType: "F8_E4M3" });
    const values = E2M1_VALUES;
    const codeOf = (value: number): number => values.indexOf(value);
    const matrix = matrixOf(layer, (_, column) => codeOf([0.5, -6][column] ?? 0), { values }, 0.5);
    const bytes = bothWays("nvfp4-pack-quantized", layer, matrix, { globalScale: 2 });
    expect(bytes.get(".weight_packed")![0]).toBe(0xf1);
    expect(bytes.get(".weight_scale")![0]).toBe(0x38);
    const weights = dequantize(
      unpackLayer({ format: formatOf("nvfp4-pack-quantized"), layer, bytes, module: "m" }),
    );
    expect([...weights.subarray(0, 3)]).toEqual([0.25, -3, 0]);
  });
});

describe("MLX", () => {
  it("packs along inputs, with negative scales", () => {
    const layer = layerOf(1, 32, { symmetric: false, scaleType: "F32" });
    // (j mod 16) / 10 - 0.5, as MLX quantizes it: from 1 at code 0 down in steps of 0.1.
    const matrix = matrixOf(
      layer,
      (_, column) => 15 - (column % 16),
      { offsets: Float32Array.of(1) },
      Math.fround(-0.1),
    );
    const bytes = packLayer({ format: formatOf("mlx"), layer, matrix, module: "m" });
    expect(words(bytes.get(".weight"))).toEqual(["89abcdef", "01234567", "89abcdef", "01234567"]);
    const weights = dequantize(unpackLayer({ format: formatOf("mlx"), layer, bytes, module: "m" }));
    for (const [column, weight] of weights.entries()) expect(weight).toBeCloseTo((column % 16) / 10 - 0.5, 6);
  });
});

it.each([1, 2, 3, 4, 5, 6, 7, 8])("puts code i of %i bits at bit i * bits", (bits) => {
  const columns = 19;
  const codes = Uint8Array.from({ length: 2 * columns }, (_, index) => (index * 37) % 2 ** bits);
  const shape = { rows: 2, columns, bits, rowBytes: Math.ceil((columns * bits) / 8) + 1 };
  const packed = packBits(codes, shape);
  for (let row = 0; row < 2; row++) {
    let stream = 0n;
    for (let byte = shape.rowBytes; byte-- > 0;)
      stream = (stream << 8n) | BigInt(packed[row * shape.rowBytes + byte]!);
    for (let column = 0; column < columns; column++) {
      expect(Number((stream >> BigInt(column * bits)) & BigInt(2 ** bits - 1))).toBe(
        codes[row * columns + column],
      );
    }
    expect(stream >> BigInt(columns * bits)).toBe(0n);
  }
  expect(unpackBits(packed, shape)).toEqual(codes);
});
