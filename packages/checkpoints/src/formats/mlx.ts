import { decodeElements, encodeElements } from "@quern/tensor";
import { packBits, unpackBits, wordRowBytes } from "./bit-packing.ts";
import { type QuantizedFormat, tileCounts, tileOf, windowRows } from "./format.ts";
import { uniformGrid } from "./grids.ts";
import { dividedInputs, oneOf, plainOnly, unmet } from "./problems.ts";

/** MLX, mode "affine" (mlx/backend/cpu/quantized.cpp): weight = scale x code + bias. Scales may be negative. */
export const mlx: QuantizedFormat = {
  name: "mlx",
  method: "mlx",
  experts: "stacked",
  problems: (layer) =>
    unmet([
      oneOf("bits", layer.parameters.bits, [2, 3, 4, 5, 6, 8]),
      oneOf("scales", layer.parameters.scaleType, ["BF16", "F16", "F32"]),
      oneOf("outputs of a tile", layer.parameters.tile.rows, [1]),
      oneOf("groups of", layer.parameters.tile.columns, [32, 64, 128]),
      dividedInputs(layer),
      [!layer.parameters.symmetric, "symmetric: expected an offset for each group"],
      ...plainOnly(layer),
    ]),
  form: (layer) => {
    const { scaleType } = layer.parameters;
    return { tile: tileOf(layer), scaleType, offsets: scaleType };
  },
  grid: (parameters) => uniformGrid(parameters, { zero: "real" }),
  parts(layer) {
    const { rows, columns, parameters } = layer;
    const { bits, scaleType } = parameters;
    const groups = tileCounts(layer).columns;
    return [
      { suffix: ".weight", type: "U32", shape: [rows, (columns * bits) / 32], needs: windowRows },
      { suffix: ".scales", type: scaleType, shape: [rows, groups], needs: windowRows },
      { suffix: ".biases", type: scaleType, shape: [rows, groups], needs: windowRows },
    ];
  },
  pack(matrix, { rows, columns, parameters }) {
    const { bits, scaleType } = parameters;
    const packed = { rows, columns, bits, rowBytes: wordRowBytes(columns, bits) };
    return new Map([
      [".weight", packBits(matrix.codes, packed)],
      [".scales", encodeElements({ type: scaleType, values: matrix.scales })],
      [".biases", encodeElements({ type: scaleType, values: matrix.offsets! })],
    ]);
  },
  windows: () => ({ along: "rows", rowStep: 1, columnStep: 1 }),
  unpack(bytes, layer, { rows: { count: rows } }) {
    const { columns, parameters } = layer;
    const { bits, scaleType } = parameters;
    const packed = { rows, columns, bits, rowBytes: wordRowBytes(columns, bits) };
    return {
      rows,
      columns,
      bits,
      codes: unpackBits(bytes.get(".weight")!, packed),
      tile: tileOf(layer),
      scales: decodeElements({ type: scaleType, bytes: bytes.get(".scales")! }),
      offsets: decodeElements({ type: scaleType, bytes: bytes.get(".biases")! }),
    };
  },
};
