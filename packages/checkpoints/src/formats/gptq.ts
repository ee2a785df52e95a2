import type { QuantizedMatrix } from "@quern/quantize";
import { encodeElements } from "@quern/tensor";
import { packBits, unpackBits, wordRowBytes } from "./bit-packing.ts";
import { columnsOf } from "./columns-of.ts";
import {
  everyRow,
  type Layer,
  type Part,
  type PartBytes,
  type QuantizedFormat,
  type Range,
  tileCounts,
  tileOf,
  type Window,
} from "./format.ts";
import { uniformGrid } from "./grids.ts";
import { groupIndexOf, storedGroupIndex } from "./group-index.ts";
import { groupedByRow, multipleOf, oneOf, plainOnly, unmet } from "./problems.ts";
import { scalesByGroup } from "./scales-by-group.ts";
import { turn, turnBytes, turnWords } from "./turn.ts";

/** Codes, and zeros, of a row end at a 32-bit word at every width when there are this many. */
const WORD_CODES = 32;

function parts({ rows, columns, parameters }: Layer): Part[] {
  const groups = tileCounts({ rows, columns, parameters }).columns;
  const { bits, scaleType } = parameters;
  return [
    {
      suffix: ".qweight",
      type: "I32",
      shape: [(columns * bits) / 32, rows],
      needs: ({ columns: { start, count } }) => ({ start: (start * bits) / 32, count: (count * bits) / 32 }),
    },
    { suffix: ".qzeros", type: "I32", shape: [groups, (rows * bits) / 32], needs: everyRow(groups) },
    { suffix: ".scales", type: scaleType, shape: [groups, rows], needs: everyRow(groups) },
    { suffix: ".g_idx", type: "I32", shape: [columns], needs: everyRow(1) },
  ];
}

function pack(matrix: QuantizedMatrix, layer: Layer, zeroShift: number): PartBytes {
  const { rows, columns } = layer;
  const { bits, scaleType } = layer.parameters;
  const groups = tileCounts(layer).columns;
  const zeros = turnBytes(matrix.zeros!, rows, groups);
  const largest = 2 ** bits - 1;
  for (let index = 0; index < zeros.length; index++) zeros[index] = (zeros[index]! - zeroShift) & largest;
  const words = packBits(matrix.codes, { rows, columns, bits, rowBytes: wordRowBytes(columns, bits) });
  const scales = turn(matrix.scales, new Float32Array(rows * groups), rows, groups);
  return new Map([
    [".qweight", turnWords(words, rows, (columns * bits) / 32)],
    [".qzeros", packBits(zeros, { rows: groups, columns: rows, bits, rowBytes: wordRowBytes(rows, bits) })],
    [".scales", encodeElements({ type: scaleType, values: scales })],
    [".g_idx", storedGroupIndex(matrix, layer)],
  ]);
}

function unpack(bytes: PartBytes, layer: Layer, window: Window, zeroShift: number): QuantizedMatrix {
  const { bits } = layer.parameters;
  const { start, count: rows } = window.rows;
  const columns = window.columns.count;
  const wordRows = (columns * bits) / 32;
  const words = turnWords(
    columnsOf(bytes.get(".qweight")!, {
      rows: wordRows,
      rowSize: layer.rows * 4,
      from: start * 4,
      size: rows * 4,
    }),
    wordRows,
    rows,
  );
  const tile = { rows: 1, columns: tileOf(layer).columns };
  const groupIndex = groupIndexOf(bytes.get(".g_idx"), layer, window);
  return {
    rows,
    columns,
    bits,
    codes: unpackBits(words, { rows, columns, bits, rowBytes: wordRowBytes(columns, bits) }),
    tile,
    scales: scalesByGroup(bytes.get(".scales")!, layer, window.rows),
    zeros: unpackZeros(bytes.get(".qzeros")!, layer, window.rows, zeroShift),
    ...(groupIndex === undefined ? {} : { groupIndex }),
  };
}

/** Zeros of some outputs, by output. */
function unpackZeros(stored: Uint8Array, layer: Layer, outputs: Range, zeroShift: number): Uint8Array {
  const { bits } = layer.parameters;
  const groups = tileCounts(layer).columns;
  // Whole words: outputs from a multiple of 32 to one.
  const from = outputs.start - (outputs.start % WORD_CODES);
  const columns = Math.ceil((outputs.start + outputs.count - from) / WORD_CODES) * WORD_CODES;
  const rowBytes = (columns * bits) / 8;
  const words = columnsOf(stored, {
    rows: groups,
    rowSize: (layer.rows * bits) / 8,
    from: (from * bits) / 8,
    size: rowBytes,
  });
  const zeros = columnsOf(unpackBits(words, { rows: groups, columns, bits, rowBytes }), {
    rows: groups,
    rowSize: columns,
    from: outputs.start - from,
    size: outputs.count,
  });
  const largest = 2 ** bits - 1;
  for (let index = 0; index < zeros.length; index++) zeros[index] = (zeros[index]! + zeroShift) & largest;
  return turnBytes(zeros, groups, outputs.count);
}

/** GPTQ with zeros stored as they are (v2) or less 1 (v1). */
function gptqFormat(name: string, zeroShift: 0 | 1): QuantizedFormat {
  return {
    name,
    method: "gptq",
    experts: "apart",
    conv1d: true,
    problems: (layer) =>
      unmet([
        oneOf("bits", layer.parameters.bits, [2, 3, 4, 8]),
        oneOf("scales", layer.parameters.scaleType, ["F16", "BF16", "F32"]),
        groupedByRow(layer),
        multipleOf("inputs", layer.columns, WORD_CODES),
        multipleOf("outputs", layer.rows, WORD_CODES),
        ...plainOnly(layer, ["actOrder"]),
      ]),
    form(layer) {
      const { bits, symmetric, scaleType } = layer.parameters;
      const middle = 2 ** (bits - 1);
      // Readers of v1 disagree on what the code of 0 - 1 means.
      const zeros = symmetric
        ? { smallest: middle, largest: middle }
        : { smallest: zeroShift, largest: 2 ** bits - 1 };
      return { tile: tileOf(layer), scaleType, zeros };
    },
    grid: (parameters) => uniformGrid(parameters, { leastZero: zeroShift }),
    parts,
    pack: (matrix, layer) => pack(matrix, layer, zeroShift),
    windows: () => ({ along: "columns", rowStep: 1, columnStep: WORD_CODES }),
    unpack: (bytes, layer, window) => unpack(bytes, layer, window, zeroShift),
  };
}

/** What AutoGPTQ and GPTQModel write as `checkpoint_format` "gptq" (AutoGPTQ, qlinear_cuda_old.py). */
export const gptq: QuantizedFormat = gptqFormat("gptq", 1);

/** `checkpoint_format` "gptq_v2" (GPTQModel, qlinear/__init__.py). */
export const gptqV2: QuantizedFormat = gptqFormat("gptq-v2", 0);
