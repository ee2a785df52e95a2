import { decodeElements, encodeElements } from "@quern/tensor";
import { everyRow, type QuantizedFormat, windowRows } from "./format.ts";
import { invalidMatrix } from "./invalid.ts";
import { oneOf, plainOnly, symmetricOnly, unmet } from "./problems.ts";
import { exchangeSign } from "./signed-bytes.ts";

/** Scales are stored as the largest magnitude of a row, which is the code 127. */
const LARGEST_CODE = 127;

/**
 * LLM.int8() (bitsandbytes/nn/modules.py, `Int8Params`). A scale of the matrix is the largest magnitude of its row divided by 127,
 * in float32.
 */
export const bitsandbytesInt8: QuantizedFormat = {
  name: "bnb-int8",
  method: "bitsandbytes",
  conv1d: true,
  problems: (layer) =>
    unmet([
      oneOf("bits", layer.parameters.bits, [8]),
      oneOf("scales", layer.parameters.scaleType, ["F32"]),
      oneOf("outputs of a tile", layer.parameters.tile.rows, [1]),
      oneOf("inputs of a tile", layer.parameters.tile.columns, ["all"]),
      symmetricOnly(layer),
      ...plainOnly(layer),
    ]),
  form: ({ columns }) => ({ tile: { rows: 1, columns }, zeros: { smallest: 128, largest: 128 } }),
  grid: () => ({ name: "int8-vectorwise" }),
  parts: ({ rows, columns }) => [
    { suffix: ".weight", type: "I8", shape: [rows, columns], needs: windowRows },
    { suffix: ".SCB", type: "F32", shape: [rows], needs: everyRow(1) },
    {
      suffix: ".weight_format",
      type: "U8",
      shape: [],
      informative: () => Uint8Array.of(0),
      needs: everyRow(1),
    },
  ],
  pack: ({ codes, scales }) =>
    new Map([
      [".weight", exchangeSign(codes)],
      [".SCB", encodeElements({ type: "F32", values: scales.map(magnitudeOf) })],
      // 0: row by row.
      [".weight_format", new Uint8Array(1)],
    ]),
  windows: () => ({ along: "rows", rowStep: 1, columnStep: 1 }),
  unpack(bytes, { columns }, { rows: { start, count } }) {
    const magnitudes = decodeElements({ type: "F32", bytes: bytes.get(".SCB")! });
    return {
      rows: count,
      columns,
      bits: 8,
      codes: exchangeSign(bytes.get(".weight")!),
      tile: { rows: 1, columns },
      scales: magnitudes.subarray(start, start + count).map((magnitude) => magnitude / LARGEST_CODE),
      zeros: new Uint8Array(count).fill(128),
    };
  },
};

/** The magnitude of which a scale is the 127th part; rounding leaves some float32 numbers without one. */
function magnitudeOf(scale: number, row: number): number {
  const magnitude = Math.fround(scale * LARGEST_CODE);
  if (Math.fround(magnitude / LARGEST_CODE) === scale) return magnitude;
  throw invalidMatrix(`row ${row} has the scale ${scale}: expected a float32 number divided by 127`);
}
