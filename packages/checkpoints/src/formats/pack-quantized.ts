import type { QuantizedMatrix } from "@quern/quantize";
import { decodeElements, encodeElements } from "@quern/tensor";
import { packBits, unpackBits, wordRowBytes } from "./bit-packing.ts";
import {
  everyRow,
  type Layer,
  type Part,
  type PartBytes,
  type QuantizedFormat,
  tileCounts,
  tileOf,
  type Window,
  windowRows,
} from "./format.ts";
import { uniformGrid } from "./grids.ts";
import { groupIndexOf, storedGroupIndex } from "./group-index.ts";
import { dividedInputs, groupedByRow, oneOf, plainOnly, unmet } from "./problems.ts";
import { turnBytes, turnWords } from "./turn.ts";

/** Outputs after which the words of zeros end at every width. */
const WORD_CODES = 32;

function parts(layer: Layer): Part[] {
  const { rows, columns, parameters } = layer;
  const { bits, symmetric, scaleType, actOrder } = parameters;
  const groups = tileCounts(layer).columns;
  const all: Part[] = [
    {
      suffix: ".weight_packed",
      type: "I32",
      shape: [rows, wordRowBytes(columns, bits) / 4],
      needs: windowRows,
    },
    { suffix: ".weight_scale", type: scaleType, shape: [rows, groups], needs: windowRows },
    {
      suffix: ".weight_shape",
      type: "I64",
      shape: [2],
      informative: () => shapeBytes(layer),
      needs: everyRow(1),
    },
  ];
  if (!symmetric) {
    all.push({
      suffix: ".weight_zero_point",
      type: "I32",
      shape: [wordRowBytes(rows, bits) / 4, groups],
      needs: ({ rows: { start, count } }) => {
        const first = (start * bits) / 32;
        return { start: first, count: Math.ceil(((start + count) * bits) / 32) - first };
      },
    });
  }
  if (actOrder) all.push({ suffix: ".weight_g_idx", type: "I32", shape: [columns], needs: everyRow(1) });
  return all;
}

function shapeBytes({ rows, columns }: Layer): Uint8Array {
  return encodeElements({ type: "I64", values: [rows, columns] });
}

function pack(matrix: QuantizedMatrix, layer: Layer): PartBytes {
  const { rows, columns, parameters } = layer;
  const { bits, symmetric, scaleType, actOrder } = parameters;
  const groups = tileCounts(layer).columns;
  const bytes = new Map([
    [
      ".weight_packed",
      packBits(matrix.codes, { rows, columns, bits, rowBytes: wordRowBytes(columns, bits) }),
    ],
    [".weight_scale", encodeElements({ type: scaleType, values: matrix.scales })],
    [".weight_shape", shapeBytes(layer)],
  ]);
  if (!symmetric) {
    const rowBytes = wordRowBytes(rows, bits);
    const words = packBits(turnBytes(matrix.zeros!, rows, groups), {
      rows: groups,
      columns: rows,
      bits,
      rowBytes,
    });
    bytes.set(".weight_zero_point", turnWords(words, groups, rowBytes / 4));
  }
  if (actOrder) bytes.set(".weight_g_idx", storedGroupIndex(matrix, layer));
  return bytes;
}

function unpack(bytes: PartBytes, layer: Layer, window: Window): QuantizedMatrix {
  const { columns, parameters } = layer;
  const { bits, scaleType } = parameters;
  const rows = window.rows.count;
  const groups = tileCounts(layer).columns;
  const stored = bytes.get(".weight_zero_point");
  const groupIndex = groupIndexOf(bytes.get(".weight_g_idx"), layer, window);
  return {
    rows,
    columns,
    bits,
    codes: unpackBits(bytes.get(".weight_packed")!, {
      rows,
      columns,
      bits,
      rowBytes: wordRowBytes(columns, bits),
    }),
    tile: tileOf(layer),
    scales: decodeElements({ type: scaleType, bytes: bytes.get(".weight_scale")! }),
    zeros:
      stored === undefined
        ? new Uint8Array(rows * groups).fill(2 ** (bits - 1))
        : unpackZeros(stored, { rows, groups, bits }),
    ...(groupIndex === undefined ? {} : { groupIndex }),
  };
}

function unpackZeros(
  words: Uint8Array,
  { rows, groups, bits }: { rows: number; groups: number; bits: number },
): Uint8Array {
  const rowBytes = wordRowBytes(rows, bits);
  const turned = turnWords(words, rowBytes / 4, groups);
  return turnBytes(unpackBits(turned, { rows: groups, columns: rows, bits, rowBytes }), groups, rows);
}

/** compressed-tensors "pack-quantized": weights of few bits, 16-bit inputs (compressors/pack_quantized/base.py). */
export const packQuantized: QuantizedFormat = {
  name: "pack-quantized",
  method: "compressed-tensors",
  experts: "apart",
  problems: (layer) =>
    unmet([
      oneOf("bits", layer.parameters.bits, [2, 3, 4, 5, 6, 7, 8]),
      oneOf("scales", layer.parameters.scaleType, ["BF16", "F16", "F32"]),
      groupedByRow(layer),
      dividedInputs(layer),
      ...plainOnly(layer, ["actOrder"]),
    ]),
  form(layer) {
    const { bits, symmetric, scaleType } = layer.parameters;
    const middle = 2 ** (bits - 1);
    const zeros = symmetric ? { smallest: middle, largest: middle } : { smallest: 0, largest: 2 ** bits - 1 };
    return { tile: tileOf(layer), scaleType, zeros };
  },
  grid: (parameters) => uniformGrid(parameters),
  parts,
  pack,
  windows: ({ parameters }) => ({
    along: "rows",
    rowStep: parameters.symmetric ? 1 : WORD_CODES,
    columnStep: 1,
  }),
  unpack,
};
