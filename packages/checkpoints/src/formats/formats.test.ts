import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GLOBAL_SCALE, layerOf, randomMatrix } from "../testing/random-layer.ts";
import { dequantize } from "./dequantize.ts";
import type { Layer, LayerParameters, PartBytes, QuantizedFormat, Window } from "./format.ts";
import { wholeWindow } from "./format.ts";
import { layerTensors, packLayer, unpackLayer } from "./layer.ts";
import { FORMATS, formatOf } from "./registry.ts";

const constants = { globalScale: GLOBAL_SCALE, inputScale: 0.5 };

type Case = readonly [format: string, rows: number, columns: number, parameters: Partial<LayerParameters>];

const channel = { rows: 1, columns: "all" } as const;

/** Every format with every choice that it leaves. */
const CASES: readonly Case[] = [
  ...["gptq", "gptq-v2"].flatMap((format) =>
    [2, 3, 4, 8].flatMap((bits): Case[] => [
      [format, 64, 96, { bits, tile: channel }],
      [format, 32, 160, { bits, tile: { rows: 1, columns: 64 }, symmetric: false }],
      [format, 96, 64, { bits, tile: { rows: 1, columns: 16 }, actOrder: true, scaleType: "BF16" }],
    ]),
  ),
  ["awq", 24, 96, {}],
  ["awq", 8, 33, { tile: channel, symmetric: false }],
  ...["bnb-nf4", "bnb-fp4"].flatMap((format): Case[] => {
    const base = { tile: { rows: 1, columns: 64 }, scaleType: "F32" } as const;
    return [
      [format, 5, 128, base],
      [format, 7, 100, base],
      [format, 3, 33, { ...base, weightType: "F16" }],
    ];
  }),
  ["bnb-int8", 5, 37, { bits: 8, tile: channel, scaleType: "F32" }],
  ...[2, 3, 4, 5, 6, 7, 8].flatMap((bits): Case[] => [
    ["pack-quantized", 7, 37, { bits, tile: channel, scaleType: "BF16" }],
    ["pack-quantized", 37, 96, { bits, symmetric: false, scaleType: "BF16" }],
  ]),
  ["pack-quantized", 8, 128, { actOrder: true, symmetric: false }],
  ["int-quantized", 5, 37, { bits: 8, tile: channel, scaleType: "BF16", activations: "dynamic" }],
  [
    "int-quantized",
    5,
    37,
    { bits: 8, tile: { rows: "all", columns: "all" }, scaleType: "F32", activations: "static" },
  ],
  ["float-quantized", 5, 37, { bits: 8, tile: channel, scaleType: "F32" }],
  ["float-quantized", 5, 37, { bits: 8, tile: { rows: "all", columns: "all" }, scaleType: "F32" }],
  ["float-quantized", 200, 130, { bits: 8, tile: { rows: 128, columns: 128 }, scaleType: "F32" }],
  ["nvfp4-pack-quantized", 3, 48, { tile: { rows: 1, columns: 16 }, scaleType: "F8_E4M3" }],
  ["mxfp4-pack-quantized", 3, 96, { scaleType: "F8_E8M0" }],
  ["fp8", 130, 200, { bits: 8, tile: { rows: 128, columns: 128 }, scaleType: "F32" }],
  ...[2, 3, 4, 5, 6, 8].flatMap((bits): Case[] => [
    ["mlx", 5, 128, { bits, tile: { rows: 1, columns: 64 }, symmetric: false, scaleType: "BF16" }],
  ]),
];

/** What a reader of the files would hand over for a window. */
function bytesOf(format: QuantizedFormat, layer: Layer, all: PartBytes, window: Window): PartBytes {
  return new Map(
    format.parts(layer).map(({ suffix, shape, needs }) => {
      const bytes = all.get(suffix)!;
      const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
      const rowBytes = bytes.byteLength / rows;
      const { start, count } = needs(window);
      return [suffix, bytes.subarray(start * rowBytes, (start + count) * rowBytes)];
    }),
  );
}

describe.each(CASES)("%s of %i x %i, %j", (name, rows, columns, parameters) => {
  const format = formatOf(name);
  const layer = layerOf(rows, columns, parameters);

  it("packs what it unpacks", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
        const matrix = randomMatrix(format, layer, seed);
        const bytes = packLayer({ format, layer, matrix, constants, module: "m" });
        const sizes = new Map([...bytes].map(([suffix, { byteLength }]) => [suffix, byteLength]));
        expect(sizes).toEqual(new Map(format.parts(layer).map((part) => [part.suffix, sizeOf(part)])));
        const unpacked = unpackLayer({ format, layer, bytes, module: "m" });
        const { scaleParts: _parts, ...same } = unpacked;
        expect(same).toEqual(matrix);
        const again = packLayer({
          format,
          layer,
          matrix: unpacked,
          constants: { inputScale: 0.5 },
          module: "m",
        });
        expect([...again].every(([suffix, data]) => Buffer.compare(data, bytes.get(suffix)!) === 0)).toBe(
          true,
        );
      }),
      { numRuns: 3 },
    );
  });

  it("unpacks any window as it unpacks all", () => {
    const matrix = randomMatrix(format, layer);
    const bytes = packLayer({ format, layer, matrix, constants, module: "m" });
    const weights = dequantize(matrix);
    const { along, rowStep, columnStep } = format.windows(layer);
    const range = (size: number, step: number): fc.Arbitrary<{ start: number; count: number }> =>
      fc
        .tuple(fc.nat(Math.ceil(size / step) - 1), fc.integer({ min: 1, max: Math.ceil(size / step) }))
        .map(([first, count]) => ({
          start: first * step,
          count: Math.min(size, (first + count) * step) - first * step,
        }));
    fc.assert(
      fc.property(range(rows, rowStep), range(columns, columnStep), (rowRange, columnRange) => {
        const window: Window = {
          rows: rowRange,
          columns: along === "rows" ? wholeWindow(layer).columns : columnRange,
        };
        const some = dequantize(
          unpackLayer({ format, layer, bytes: bytesOf(format, layer, bytes, window), window, module: "m" }),
        );
        const expected = Float32Array.from({ length: some.length }, (_, index) => {
          const row = window.rows.start + Math.floor(index / window.columns.count);
          return weights[row * columns + window.columns.start + (index % window.columns.count)]!;
        });
        expect(some).toEqual(expected);
      }),
      { numRuns: 8 },
    );
  });

  it("refuses parts that are missing or of another size", () => {
    const matrix = randomMatrix(format, layer);
    const all = packLayer({ format, layer, matrix, constants, module: "model.q" });
    for (const { suffix, informative } of format.parts(layer)) {
      if (informative) continue;
      const without = new Map([...all].filter(([key]) => key !== suffix));
      const longer = new Map(all).set(suffix, new Uint8Array(all.get(suffix)!.byteLength + 1));
      for (const bytes of [without, longer]) {
        expect(() => unpackLayer({ format, layer, bytes, module: "model.q" })).toThrow(
          expect.objectContaining({
            code: "FORMAT_PARTS_INVALID",
            message: expect.stringContaining(`model.q${suffix}`),
          }),
        );
      }
    }
  });
});

function sizeOf({ type, shape }: { type: string; shape: readonly number[] }): number {
  const bits = Number(/\d+/.exec(type)![0]);
  return (shape.reduce((product, size) => product * size, 1) * bits) / 8;
}

it("has every format among the cases but those that are read only", () => {
  const tested = new Set(CASES.map(([name]) => name));
  const written = FORMATS.filter(({ pack }) => pack !== undefined);
  expect(written.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
});

describe("double quantization", () => {
  const format = formatOf("bnb-nf4");
  const layer = layerOf(300, 64, {
    tile: { rows: 1, columns: 64 },
    scaleType: "F32",
    doubleQuantized: true,
  });

  it("keeps codes, and scales to the step of its map", () => {
    const matrix = randomMatrix(format, layer);
    const bytes = packLayer({ format, layer, matrix, module: "m" });
    const unpacked = unpackLayer({ format, layer, bytes, module: "m" });
    expect(unpacked.codes).toEqual(matrix.codes);
    expect(bytes.get(".weight.nested_absmax")).toHaveLength(8);
    for (const [index, scale] of unpacked.scales.entries()) {
      expect(Math.abs(scale - matrix.scales[index]!)).toBeLessThan(0.002);
    }
    expect(packLayer({ format, layer, matrix: unpacked, module: "m" })).toEqual(bytes);
    const { scaleParts } = unpacked;
    if (scaleParts?.kind !== "nested") throw new Error("scales are not in parts");
    const fewer = { ...scaleParts, codes: scaleParts.codes.subarray(1) };
    expect(() =>
      packLayer({ format, layer, matrix: { ...unpacked, scaleParts: fewer }, module: "m" }),
    ).toThrow(expect.objectContaining({ code: "FORMAT_MATRIX_INVALID" }));
  });

  it("has a size that does not depend on the numbers", () => {
    for (const seed of [1, 2, 3]) {
      const bytes = packLayer({ format, layer, matrix: randomMatrix(format, layer, seed), module: "m" });
      for (const part of format.parts(layer)) {
        expect(bytes.get(part.suffix)).toHaveLength(sizeOf(part));
      }
    }
  });
});

describe("a matrix that does not fit", () => {
  const format = formatOf("gptq");
  const layer = layerOf(32, 64);
  const matrix = randomMatrix(format, layer);
  it.each([
    ["another width", { bits: 3 }],
    ["other sizes", { rows: 64 }],
    ["too few codes", { codes: matrix.codes.subarray(1) }],
    ["other groups", { tile: { rows: 1, columns: 64 } }],
    ["no zeros", { zeros: undefined }],
    ["another zero", { zeros: matrix.zeros!.map(() => 7) }],
    ["offsets", { offsets: matrix.scales }],
    ["values", { values: new Float32Array(16) }],
    ["a code too large", { codes: matrix.codes.map(() => 16) }],
    ["a scale between two of F16", { scales: matrix.scales.map(() => 0.1) }],
    ["a scale that is not finite", { scales: matrix.scales.map(() => Infinity) }],
    ["an order of inputs that is not asked for", { groupIndex: new Int32Array(64) }],
  ])("has %s", (_, change) => {
    const changed = { ...matrix, ...change } as typeof matrix;
    expect(() => packLayer({ format, layer, matrix: changed, module: "model.q" })).toThrow(
      expect.objectContaining({ code: "FORMAT_MATRIX_INVALID", subject: { tensor: "model.q" } }),
    );
  });

  it("has a group that there is not", () => {
    const ordered = layerOf(32, 64, { actOrder: true });
    const changed = { ...matrix, groupIndex: new Int32Array(64).fill(2) };
    expect(() => packLayer({ format, layer: ordered, matrix: changed, module: "m" })).toThrow(
      expect.objectContaining({ code: "FORMAT_MATRIX_INVALID" }),
    );
    const bytes = new Map(packLayer({ format, layer, matrix, module: "m" }));
    bytes.set(".g_idx", new Uint8Array(64 * 4).fill(0xff));
    expect(() => unpackLayer({ format, layer, bytes, module: "m" })).toThrow(
      expect.objectContaining({ code: "FORMAT_PARTS_INVALID" }),
    );
  });
});

describe("a layer that cannot be stored", () => {
  it.each<[string, number, number, Partial<LayerParameters>, string]>([
    ["gptq", 32, 48, {}, "48 inputs: expected a multiple of 32"],
    ["gptq", 48, 32, {}, "48 outputs: expected a multiple of 32"],
    ["gptq", 32, 32, { bits: 5 }, "bits 5: expected 2, 3, 4, 8"],
    ["awq", 12, 32, {}, "12 outputs: expected a multiple of 8"],
    ["awq", 8, 32, { bits: 3 }, "bits 3: expected 4"],
    ["bnb-nf4", 8, 64, { scaleType: "F32", tile: { rows: 1, columns: 48 } }, "blocks of 48"],
    ["pack-quantized", 8, 72, {}, "72 inputs do not divide into groups of 32"],
    ["int-quantized", 8, 72, { bits: 8 }, "tiles of 1 x 32"],
    [
      "mlx",
      8,
      96,
      { symmetric: false, tile: { rows: 1, columns: 64 } },
      "96 inputs do not divide into groups of 64",
    ],
    ["mlx", 8, 64, { symmetric: true }, "symmetric"],
    ["mlx", 0, 64, { symmetric: false }, "0 x 64 weights"],
  ])("%s, %i x %i %j", (name, rows, columns, parameters, reason) => {
    const layer = layerOf(rows, columns, parameters);
    expect(() => layerTensors(formatOf(name), layer, "model.q")).toThrow(
      expect.objectContaining({
        code: "FORMAT_CANNOT_HOLD",
        subject: { tensor: "model.q" },
        message: expect.stringContaining(reason),
      }),
    );
  });

  it("says which formats there are", () => {
    expect(() => formatOf("gguf")).toThrow(expect.objectContaining({ code: "FORMAT_UNKNOWN" }));
  });
});
