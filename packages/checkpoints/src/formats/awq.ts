import type { QuantizedMatrix } from "@quern/quantize";
import { encodeElements } from "@quern/tensor";
import { columnsOf } from "./columns-of.ts";
import {
  everyRow,
  type Layer,
  type Part,
  type PartBytes,
  type QuantizedFormat,
  tileCounts,
  tileOf,
  type Window,
} from "./format.ts";
import { groupIndexOf } from "./group-index.ts";
import { dividedInputs, groupedByRow, multipleOf, oneOf, plainOnly, unmet } from "./problems.ts";
import { uniformGrid } from "./grids.ts";
import { scalesByGroup } from "./scales-by-group.ts";
import { turn, turnWords } from "./turn.ts";

/** Outputs in a word. */
const WORD_OUTPUTS = 8;

/** Nibble of each output of a word (AutoAWQ, packing_utils.py: reverse order of [0, 2, 4, 6, 1, 3, 5, 7]). */
const NIBBLES = [0, 4, 1, 5, 2, 6, 3, 7] as const;

/** Words [columns, rows / 8] of codes [rows, columns]. */
function packOutputs(codes: Uint8Array, rows: number, columns: number): Uint8Array {
  const wordRows = rows / WORD_OUTPUTS;
  const words = new Uint32Array(wordRows * columns);
  for (let wordRow = 0; wordRow < wordRows; wordRow++) {
    const first = wordRow * WORD_OUTPUTS * columns;
    const target = wordRow * columns;
    for (let column = 0; column < columns; column++) {
      let word = 0;
      for (let output = 0; output < WORD_OUTPUTS; output++) {
        word |= codes[first + output * columns + column]! << (4 * NIBBLES[output]!);
      }
      words[target + column] = word;
    }
  }
  return turnWords(new Uint8Array(words.buffer), wordRows, columns);
}

/** Codes [rows, columns] of words [columns, rows / 8]. */
function unpackOutputs(packed: Uint8Array, rows: number, columns: number): Uint8Array {
  const wordRows = rows / WORD_OUTPUTS;
  const words = new Uint32Array(turnWords(packed, columns, wordRows).buffer);
  const codes = new Uint8Array(rows * columns);
  for (let wordRow = 0; wordRow < wordRows; wordRow++) {
    const first = wordRow * WORD_OUTPUTS * columns;
    for (let column = 0; column < columns; column++) {
      const word = words[wordRow * columns + column]!;
      for (let output = 0; output < WORD_OUTPUTS; output++) {
        codes[first + output * columns + column] = (word >>> (4 * NIBBLES[output]!)) & 15;
      }
    }
  }
  return codes;
}

function parts(layer: Layer): Part[] {
  const { rows, columns, parameters } = layer;
  const groups = tileCounts(layer).columns;
  const words = rows / WORD_OUTPUTS;
  return [
    { suffix: ".qweight", type: "I32", shape: [columns, words], needs: (window) => window.columns },
    { suffix: ".qzeros", type: "I32", shape: [groups, words], needs: everyRow(groups) },
    { suffix: ".scales", type: parameters.scaleType, shape: [groups, rows], needs: everyRow(groups) },
  ];
}

function unpack(bytes: PartBytes, layer: Layer, window: Window): QuantizedMatrix {
  const { start, count: rows } = window.rows;
  const columns = window.columns.count;
  const groups = tileCounts(layer).columns;
  const groupIndex = groupIndexOf(undefined, layer, window);
  const words = { rowSize: layer.rows / 2, from: start / 2, size: rows / 2 };
  const codes = columnsOf(bytes.get(".qweight")!, { rows: columns, ...words });
  const zeros = columnsOf(bytes.get(".qzeros")!, { rows: groups, ...words });
  return {
    rows,
    columns,
    bits: 4,
    codes: unpackOutputs(codes, rows, columns),
    tile: tileOf(layer),
    scales: scalesByGroup(bytes.get(".scales")!, layer, window.rows),
    zeros: unpackOutputs(zeros, rows, groups),
    ...(groupIndex === undefined ? {} : { groupIndex }),
  };
}

/** AWQ, version "gemm" (AutoAWQ, awq/modules/linear/gemm.py). Symmetric grids have zeros too, all 8. */
export const awq: QuantizedFormat = {
  name: "awq",
  method: "awq",
  experts: "apart",
  problems: (layer) =>
    unmet([
      oneOf("bits", layer.parameters.bits, [4]),
      oneOf("scales", layer.parameters.scaleType, ["F16", "BF16"]),
      groupedByRow(layer),
      dividedInputs(layer),
      multipleOf("outputs", layer.rows, WORD_OUTPUTS),
      ...plainOnly(layer),
    ]),
  form(layer) {
    const { symmetric, scaleType } = layer.parameters;
    const zeros = symmetric ? { smallest: 8, largest: 8 } : { smallest: 0, largest: 15 };
    return { tile: tileOf(layer), scaleType, zeros };
  },
  grid: (parameters) => uniformGrid(parameters),
  parts,
  pack(matrix, layer) {
    const { rows, columns } = layer;
    const groups = tileCounts(layer).columns;
    const scales = turn(matrix.scales, new Float32Array(rows * groups), rows, groups);
    return new Map([
      [".qweight", packOutputs(matrix.codes, rows, columns)],
      [".qzeros", packOutputs(matrix.zeros!, rows, groups)],
      [".scales", encodeElements({ type: layer.parameters.scaleType, values: scales })],
    ]);
  },
  windows: () => ({ along: "columns", rowStep: WORD_OUTPUTS, columnStep: 1 }),
  unpack,
};
