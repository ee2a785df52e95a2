import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import {
  everyRow,
  type Layer,
  type LayerConstants,
  type Part,
  type QuantizedFormat,
  rowsBy,
  tileCounts,
  tileOf,
  windowRows,
} from "./format.ts";
import { gridTile } from "./grids.ts";
import { invalidMatrix } from "./invalid.ts";
import { oneOf, plainOnly, symmetricOnly, unmet } from "./problems.ts";
import { exchangeSign } from "./signed-bytes.ts";
import { E4M3_VALUES } from "./values.ts";

/** Tiles by the name that compressed-tensors has for them: "outputs x inputs". */
const TILES = { tensor: "all x all", channel: "1 x all", block: "128 x 128" } as const;

function scaleShape(layer: Layer): number[] {
  const { rows, columns } = tileCounts(layer);
  return layer.parameters.tile.rows === "all" ? [1] : [rows, columns];
}

const INPUT_SCALE = ".input_scale";

/** Weights of a byte each with scales beside them, by tensor, output or block. */
function scaledBytes(params: {
  name: string;
  method: string;
  element: "I8" | "F8_E4M3";
  scale: string;
  scaleTypes: readonly ElementType[];
  tiles: readonly (keyof typeof TILES)[];
  /** Whether the inputs of layers can have a scale that is stored. */
  activations?: boolean;
}): QuantizedFormat {
  const { name, method, element, scale, scaleTypes, tiles, activations = false } = params;
  const parts = (layer: Layer): Part[] => {
    const { rows, columns, parameters } = layer;
    const { rows: tileRows } = tileOf(layer);
    const needs = parameters.tile.rows === "all" ? everyRow(1) : rowsBy(tileRows);
    const all: Part[] = [
      { suffix: ".weight", type: element, shape: [rows, columns], needs: windowRows },
      { suffix: scale, type: parameters.scaleType, shape: scaleShape(layer), needs },
    ];
    if (parameters.activations === "static") {
      all.push({
        suffix: INPUT_SCALE,
        type: "F32",
        shape: [1],
        informative: () => encodeElements({ type: "F32", values: [1] }),
        needs: everyRow(1),
      });
    }
    return all;
  };
  return {
    name,
    method,
    experts: "apart",
    problems(layer) {
      const { parameters } = layer;
      const { tile } = parameters;
      return unmet([
        oneOf("bits", parameters.bits, [8]),
        oneOf("scales", parameters.scaleType, scaleTypes),
        oneOf(
          "tiles of",
          `${tile.rows} x ${tile.columns}`,
          tiles.map((key) => TILES[key]),
        ),
        symmetricOnly(layer),
        ...plainOnly(layer, activations ? ["activations"] : []),
      ]);
    },
    form: (layer) => ({
      tile: tileOf(layer),
      scaleType: layer.parameters.scaleType,
      ...(element === "I8" ? { zeros: { smallest: 128, largest: 128 } } : { values: E4M3_VALUES }),
    }),
    grid: ({ bits, tile, scaleType }) =>
      element === "I8"
        ? { name: "uniform", options: { bits, symmetric: true, tile: gridTile(tile), scaleType } }
        : { name: "e4m3", options: { tile: gridTile(tile), scaleType } },
    parts,
    pack: ({ codes, scales }, { parameters }, constants) =>
      new Map([
        [".weight", element === "I8" ? exchangeSign(codes) : codes.slice()],
        [scale, encodeElements({ type: parameters.scaleType, values: scales })],
        ...(parameters.activations === "static" ? [inputScale(constants)] : []),
      ]),
    windows: (layer) => ({
      along: "rows",
      rowStep: layer.parameters.tile.rows === "all" ? 1 : tileOf(layer).rows,
      columnStep: 1,
    }),
    unpack(bytes, layer, { rows: { count } }) {
      const codes = bytes.get(".weight")!;
      const scales = decodeElements({ type: layer.parameters.scaleType, bytes: bytes.get(scale)! });
      return {
        rows: count,
        columns: layer.columns,
        bits: 8,
        codes: element === "I8" ? exchangeSign(codes) : codes.slice(),
        tile: tileOf(layer),
        scales,
        ...(element === "I8" ? { zeros: new Uint8Array(scales.length).fill(128) } : { values: E4M3_VALUES }),
      };
    },
  };
}

function inputScale({ inputScale: value }: LayerConstants): [string, Uint8Array] {
  if (value === undefined) throw invalidMatrix("the scale of the inputs, which is static, is missing");
  return [INPUT_SCALE, encodeElements({ type: "F32", values: [value] })];
}

/** compressed-tensors "int-quantized": 8-bit weights and inputs (compressors/int_quantized). */
export const intQuantized: QuantizedFormat = scaledBytes({
  name: "int-quantized",
  method: "compressed-tensors",
  element: "I8",
  scale: ".weight_scale",
  scaleTypes: ["BF16", "F16", "F32"],
  tiles: ["channel", "tensor"],
  activations: true,
});

/** compressed-tensors "float-quantized": E4M3 weights and inputs (compressors/float_quantized). */
export const floatQuantized: QuantizedFormat = scaledBytes({
  name: "float-quantized",
  method: "compressed-tensors",
  element: "F8_E4M3",
  scale: ".weight_scale",
  scaleTypes: ["BF16", "F16", "F32"],
  tiles: ["channel", "tensor", "block"],
  activations: true,
});

/**
 * FP8 in blocks of 128 x 128 with scales in float32, as DeepSeek published it. The scale is multiplied by, whatever its name says
 * (transformers, integrations/finegrained_fp8.py).
 */
export const fineGrainedFp8: QuantizedFormat = scaledBytes({
  name: "fp8",
  method: "fp8",
  element: "F8_E4M3",
  scale: ".weight_scale_inv",
  scaleTypes: ["F32", "BF16", "F8_E8M0"],
  tiles: ["block"],
});
