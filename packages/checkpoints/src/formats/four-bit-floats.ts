import { decodeElements, encodeElements } from "@quern/tensor";
import { packBits, unpackBits } from "./bit-packing.ts";
import { everyRow, type Layer, type Part, type QuantizedFormat, tileOf, windowRows } from "./format.ts";
import { invalidMatrix, invalidParts } from "./invalid.ts";
import { dividedInputs, oneOf, plainOnly, type Requirement, symmetricOnly, unmet } from "./problems.ts";
import { E2M1_VALUES, E4M3_VALUES } from "./values.ts";

/** Layers of E2M1 codes, the first code of a byte in its low nibble, in groups of one size. */
function requirements(layer: Layer, groupSize: number, scaleType: string): Requirement[] {
  return [
    oneOf("bits", layer.parameters.bits, [4]),
    oneOf("scales", layer.parameters.scaleType, [scaleType]),
    oneOf("outputs of a tile", layer.parameters.tile.rows, [1]),
    oneOf("groups of", layer.parameters.tile.columns, [groupSize]),
    dividedInputs(layer),
    symmetricOnly(layer),
    ...plainOnly(layer),
  ];
}

function packedRows(rows: number, columns: number): Parameters<typeof packBits>[1] {
  return { rows, columns, bits: 4, rowBytes: columns / 2 };
}

function codesPart({ rows, columns }: Layer): Part {
  return { suffix: ".weight_packed", type: "U8", shape: [rows, columns / 2], needs: windowRows };
}

/**
 * compressed-tensors "nvfp4-pack-quantized" with 16-bit inputs (compressors/nvfp4). Scales are E4M3 numbers divided by a global
 * scale, in float32; layers that a runtime fuses must have one global scale.
 */
export const nvfp4PackQuantized: QuantizedFormat = {
  name: "nvfp4-pack-quantized",
  method: "compressed-tensors",
  experts: "apart",
  problems: (layer) => unmet(requirements(layer, 16, "F8_E4M3")),
  form: (layer) => ({ tile: tileOf(layer), values: E2M1_VALUES }),
  grid: () => ({ name: "nvfp4" }),
  parts: (layer) => [
    codesPart(layer),
    {
      suffix: ".weight_scale",
      type: "F8_E4M3",
      shape: [layer.rows, layer.columns / 16],
      needs: windowRows,
    },
    { suffix: ".weight_global_scale", type: "F32", shape: [1], needs: everyRow(1) },
  ],
  pack({ codes, scales, scaleParts }, { rows, columns }, constants) {
    const globalScale =
      constants.globalScale ?? (scaleParts?.kind === "global" ? scaleParts.global : undefined);
    if (globalScale === undefined || !(globalScale > 0)) {
      throw invalidMatrix(`the global scale is ${globalScale}: expected a positive number`);
    }
    const global = Math.fround(globalScale);
    // Backwards, so that 0 is the code of +0.
    const codeOf = new Map<number, number>();
    for (let code = 255; code >= 0; code--) codeOf.set(Math.fround(E4M3_VALUES[code]! / global), code);
    const stored = new Uint8Array(scales.length);
    for (let tile = 0; tile < scales.length; tile++) {
      const code = codeOf.get(scales[tile]!);
      if (code === undefined) {
        throw invalidMatrix(
          `tile ${tile} has the scale ${scales[tile]}: expected an E4M3 number divided by ${global}`,
        );
      }
      stored[tile] = code;
    }
    return new Map([
      [".weight_packed", packBits(codes, packedRows(rows, columns))],
      [".weight_scale", stored],
      [".weight_global_scale", encodeElements({ type: "F32", values: [global] })],
    ]);
  },
  windows: () => ({ along: "rows", rowStep: 1, columnStep: 1 }),
  unpack(bytes, layer, { rows: { count } }) {
    const global = decodeElements({ type: "F32", bytes: bytes.get(".weight_global_scale")! })[0]!;
    const stored = bytes.get(".weight_scale")!;
    const scales = decodeElements({ type: "F8_E4M3", bytes: stored });
    return {
      rows: count,
      columns: layer.columns,
      bits: 4,
      codes: unpackBits(bytes.get(".weight_packed")!, packedRows(count, layer.columns)),
      tile: tileOf(layer),
      scales: scales.map((scale) => scale / global),
      scaleParts: { kind: "global", codes: stored.slice(), global },
      values: E2M1_VALUES,
    };
  },
};

/** compressed-tensors "mxfp4-pack-quantized" (compressors/mxfp4): groups of 32 with powers of two as scales. */
export const mxfp4PackQuantized: QuantizedFormat = {
  name: "mxfp4-pack-quantized",
  method: "compressed-tensors",
  experts: "apart",
  problems: (layer) => unmet(requirements(layer, 32, "F8_E8M0")),
  form: (layer) => ({ tile: tileOf(layer), scaleType: "F8_E8M0", values: E2M1_VALUES }),
  grid: () => ({ name: "mxfp4" }),
  parts: (layer) => [
    codesPart(layer),
    { suffix: ".weight_scale", type: "U8", shape: [layer.rows, layer.columns / 32], needs: windowRows },
  ],
  pack: ({ codes, scales }, { rows, columns }) =>
    new Map([
      [".weight_packed", packBits(codes, packedRows(rows, columns))],
      [".weight_scale", encodeElements({ type: "F8_E8M0", values: scales })],
    ]),
  windows: () => ({ along: "rows", rowStep: 1, columnStep: 1 }),
  unpack: (bytes, layer, { rows: { count } }) => ({
    rows: count,
    columns: layer.columns,
    bits: 4,
    codes: unpackBits(bytes.get(".weight_packed")!, packedRows(count, layer.columns)),
    tile: tileOf(layer),
    scales: powersOfTwo(bytes.get(".weight_scale")!),
    values: E2M1_VALUES,
  }),
};

/**
 * The experts of gpt-oss (transformers, integrations/mxfp4.py), read only: all experts are one matrix, and a row is what one output
 * of one expert multiplies its inputs by.
 */
export const gptOssMxfp4: QuantizedFormat = {
  name: "mxfp4",
  method: "mxfp4",
  problems: (layer) => unmet(requirements(layer, 32, "F8_E8M0")),
  form: (layer) => ({ tile: tileOf(layer), scaleType: "F8_E8M0", values: E2M1_VALUES }),
  grid: () => ({ name: "mxfp4" }),
  parts({ rows, columns }) {
    const groups = columns / 32;
    return [
      {
        suffix: "_blocks",
        type: "U8",
        shape: [rows, groups, 16],
        needs: ({ rows: { start, count } }) => ({ start: start * groups, count: count * groups }),
      },
      { suffix: "_scales", type: "U8", shape: [rows, groups], needs: windowRows },
    ];
  },
  windows: () => ({ along: "rows", rowStep: 1, columnStep: 1 }),
  unpack: (bytes, layer, { rows: { count } }) => ({
    rows: count,
    columns: layer.columns,
    bits: 4,
    codes: unpackBits(bytes.get("_blocks")!, packedRows(count, layer.columns)),
    tile: tileOf(layer),
    scales: powersOfTwo(bytes.get("_scales")!),
    values: E2M1_VALUES,
  }),
};

function powersOfTwo(bytes: Uint8Array): Float32Array {
  const missing = bytes.indexOf(0xff);
  if (missing >= 0) throw invalidParts(`the scale of tile ${missing} is 255, which is no power of two`);
  return decodeElements({ type: "F8_E8M0", bytes });
}
