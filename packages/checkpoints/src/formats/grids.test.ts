import {
  findMember,
  flattened,
  folded,
  type Grid,
  GRIDS,
  nearest,
  roundMatrix,
  type TiledGrid,
} from "@quern/quantize";
import { describe, expect, it } from "vitest";
import { layerOf, randomWords } from "../testing/random-layer.ts";
import { dequantize } from "./dequantize.ts";
import type { LayerParameters } from "./format.ts";
import { packLayer, unpackLayer } from "./layer.ts";
import { FORMATS, formatOf } from "./registry.ts";

type Case = readonly [format: string, rows: number, columns: number, parameters: Partial<LayerParameters>];

const channel = { rows: 1, columns: "all" } as const;
const tensor = { rows: "all", columns: "all" } as const;
const block = { rows: 128, columns: 128 } as const;
const groupOf = (columns: number) => ({ rows: 1, columns }) as const;

/** What recipes use, and the edges of what formats hold. */
const CASES: readonly Case[] = [
  ...["gptq", "gptq-v2"].flatMap((format) =>
    [2, 3, 4, 8].flatMap((bits): Case[] => [
      [format, 32, 128, { bits, tile: groupOf(128) }],
      [format, 32, 128, { bits, tile: groupOf(64), symmetric: false }],
      [format, 32, 96, { bits, tile: channel, symmetric: false, scaleType: "BF16" }],
    ]),
  ),
  ["awq", 16, 128, { symmetric: false }],
  ["awq", 16, 128, { symmetric: true, tile: channel }],
  ...["bnb-nf4", "bnb-fp4"].flatMap((format) =>
    [false, true].flatMap((doubleQuantized): Case[] => [
      [format, 12, 128, { tile: groupOf(64), scaleType: "F32", doubleQuantized }],
      [format, 13, 100, { tile: groupOf(64), scaleType: "F32", doubleQuantized }],
    ]),
  ),
  ["bnb-int8", 8, 40, { bits: 8, tile: channel, scaleType: "F32" }],
  ...[2, 3, 4, 8].flatMap((bits): Case[] => [
    ["pack-quantized", 8, 128, { bits, tile: groupOf(128), scaleType: "BF16" }],
    ["pack-quantized", 8, 128, { bits, tile: groupOf(32), scaleType: "BF16", symmetric: false }],
    ["pack-quantized", 8, 37, { bits, tile: channel, scaleType: "F16" }],
  ]),
  ["int-quantized", 8, 40, { bits: 8, tile: channel, scaleType: "BF16", activations: "dynamic" }],
  ["int-quantized", 8, 40, { bits: 8, tile: tensor, scaleType: "F32", activations: "static" }],
  ["float-quantized", 8, 40, { bits: 8, tile: channel, scaleType: "BF16", activations: "dynamic" }],
  ["float-quantized", 8, 40, { bits: 8, tile: tensor, scaleType: "F32", activations: "static" }],
  ["float-quantized", 130, 200, { bits: 8, tile: block, scaleType: "F32", activations: "dynamic" }],
  ["fp8", 130, 200, { bits: 8, tile: block, scaleType: "F32" }],
  ["nvfp4-pack-quantized", 4, 64, { tile: groupOf(16), scaleType: "F8_E4M3" }],
  ["mxfp4-pack-quantized", 4, 64, { tile: groupOf(32), scaleType: "F8_E8M0" }],
  ...[2, 3, 4, 5, 6, 8].map((bits): Case => {
    return ["mlx", 5, 128, { bits, tile: groupOf(64), symmetric: false, scaleType: "BF16" }];
  }),
];

it("covers every format that can be written", () => {
  const writable = FORMATS.filter(({ pack }) => pack !== undefined).map(({ name }) => name);
  expect(new Set(CASES.map(([name]) => name))).toEqual(new Set(writable));
});

/** Weights like those of models: small, some outputs of one sign only, which needs a zero at the end of the codes. */
function weights(rows: number, columns: number): Float32Array {
  const random = randomWords(rows * columns);
  const value = (): number => (random() / 2 ** 32 + random() / 2 ** 32 - 1) / 16;
  return Float32Array.from({ length: rows * columns }, (_, index) => {
    const row = Math.floor(index / columns);
    return row === 1 ? Math.abs(value()) : row === 2 ? -Math.abs(value()) : row === 3 ? 0 : value();
  });
}

describe.each(CASES)("%s of %i x %i, %j", (name, rows, columns, parameters) => {
  it("holds what is rounded on its grid", () => {
    const format = formatOf(name);
    const layer = layerOf(rows, columns, parameters);
    const { name: member, options = {} } = format.grid(layer.parameters);
    const make = findMember(GRIDS, member) as (options: object) => Grid<TiledGrid>;
    // It stands in plans and travels to threads.
    const grid = make(JSON.parse(JSON.stringify(options)) as object);
    const matrix = { rows, columns, values: weights(rows, columns) };
    const straddling = format.flattened === true && columns % (layer.parameters.tile.columns as number) !== 0;
    const rounded = roundMatrix({
      matrix: straddling ? flattened(matrix) : matrix,
      grid,
      rounding: nearest(),
    });
    const plain = rounded.grid.result(rounded.codes);
    const bytes = packLayer({
      format,
      layer,
      matrix: straddling ? folded(plain, matrix) : plain,
      constants: { inputScale: 0.5 },
      module: "m",
    });
    const found = dequantize(unpackLayer({ format, layer, bytes, module: "m" }));
    expect(found).toEqual(rounded.values);
    const noise = found.reduce((sum, value, i) => sum + (value - matrix.values[i]!) ** 2, 0);
    const signal = matrix.values.reduce((sum, value) => sum + value ** 2, 0);
    // E4M3 has 4 bits of significand.
    expect(Math.sqrt(noise / signal)).toBeLessThan(Math.max(2.5 / 2 ** layer.parameters.bits, 0.03));
  });
});
