import type { QuantizedMatrix } from "@quern/quantize";
import { DYNAMIC_VALUES, FP4_VALUES, NF4_VALUES } from "@quern/quantize/tables";
import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import { dequantizeScales, NESTED_BLOCK, type NestedScales, quantizeScales } from "./double-quantization.ts";
import {
  everyRow,
  type Layer,
  type Part,
  type PartBytes,
  type QuantizedFormat,
  type Window,
} from "./format.ts";
import { invalidMatrix } from "./invalid.ts";
import { groupedByRow, oneOf, plainOnly, symmetricOnly, unmet } from "./problems.ts";
import { decodeQuantState, encodeQuantState } from "./quant-state.ts";

/** Blocks that kernels are built for (bitsandbytes/functional.py). */
const BLOCK_SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/** What torch calls the element types of weights. */
export const TORCH_TYPES: ReadonlyMap<ElementType, string> = new Map([
  ["BF16", "bfloat16"],
  ["F16", "float16"],
  ["F32", "float32"],
]);

function blockSizeOf({ parameters: { tile }, columns }: Layer): number {
  return tile.columns === "all" ? columns : tile.columns;
}

/** Blocks go through the weight from row to row; this many columns of a row are of one block. */
function tileColumns(layer: Layer): number {
  let [a, b] = [blockSizeOf(layer), layer.columns];
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

function blockCount(layer: Layer): number {
  return Math.ceil((layer.rows * layer.columns) / blockSizeOf(layer));
}

function quantState(quantType: string, layer: Layer, offset: number): Uint8Array {
  const { rows, columns, parameters } = layer;
  return encodeQuantState({
    quantType,
    blockSize: blockSizeOf(layer),
    dtype: TORCH_TYPES.get(parameters.weightType ?? "BF16")!,
    shape: [rows, columns],
    ...(parameters.doubleQuantized ? { nested: { blockSize: NESTED_BLOCK, offset } } : {}),
  });
}

function stateSuffix(quantType: string): string {
  return `.weight.quant_state.bitsandbytes__${quantType}`;
}

function parts(quantType: string, layer: Layer): Part[] {
  const { rows, columns, parameters } = layer;
  const elements = rows * columns;
  const blocks = blockCount(layer);
  const whole = everyRow(1);
  const all: Part[] = [
    {
      suffix: ".weight",
      type: "U8",
      shape: [Math.ceil(elements / 2), 1],
      needs: ({ rows: { start, count } }) => {
        const first = Math.floor((start * columns) / 2);
        return { start: first, count: Math.ceil(((start + count) * columns) / 2) - first };
      },
    },
    {
      suffix: ".weight.absmax",
      type: parameters.doubleQuantized ? "U8" : "F32",
      shape: [blocks],
      needs: whole,
    },
    { suffix: ".weight.quant_map", type: "F32", shape: [16], needs: whole },
  ];
  if (parameters.doubleQuantized) {
    const nested = Math.ceil(blocks / (parameters.nested?.blockSize ?? NESTED_BLOCK));
    all.push(
      { suffix: ".weight.nested_absmax", type: "F32", shape: [nested], needs: whole },
      { suffix: ".weight.nested_quant_map", type: "F32", shape: [256], needs: whole },
    );
  }
  all.push({
    suffix: stateSuffix(quantType),
    type: "U8",
    shape: [quantState(quantType, layer, 0).byteLength],
    informative: () => quantState(quantType, layer, 0),
    needs: whole,
  });
  return all;
}

function pack(quantType: string, matrix: QuantizedMatrix, layer: Layer): PartBytes {
  const { codes } = matrix;
  const packed = new Uint8Array(Math.ceil(codes.length / 2));
  for (let pair = 0; pair < packed.length; pair++) {
    packed[pair] = (codes[2 * pair]! << 4) | (codes[2 * pair + 1] ?? 0);
  }
  const absmax = blockScales(matrix, layer);
  const bytes = new Map([
    [".weight", packed],
    [".weight.quant_map", floatBytes(matrix.values!)],
  ]);
  let offset = 0;
  if (layer.parameters.doubleQuantized) {
    const nested = nestedScales(matrix, absmax);
    offset = nested.offset;
    bytes.set(".weight.absmax", nested.indices);
    bytes.set(".weight.nested_absmax", floatBytes(nested.scales));
    bytes.set(".weight.nested_quant_map", floatBytes(DYNAMIC_VALUES));
  } else {
    bytes.set(".weight.absmax", floatBytes(absmax));
  }
  return bytes.set(stateSuffix(quantType), quantState(quantType, layer, offset));
}

/** Scales of blocks as they have been quantized, or quantized now. */
function nestedScales({ scaleParts }: QuantizedMatrix, absmax: Float32Array): NestedScales {
  if (scaleParts?.kind !== "nested") return quantizeScales(absmax);
  const { codes: indices, absmax: scales, offset } = scaleParts;
  const blocks = Math.ceil(absmax.length / NESTED_BLOCK);
  if (indices.length === absmax.length && scales.length === blocks) return { indices, scales, offset };
  throw invalidMatrix(
    `${indices.length} codes of scales in ${scales.length} blocks: expected ${absmax.length} in ${blocks}`,
  );
}

/** Scales by block, of scales by tile. */
function blockScales({ scales }: QuantizedMatrix, layer: Layer): Float32Array {
  const blockSize = blockSizeOf(layer);
  const tile = tileColumns(layer);
  if (tile === blockSize) return scales;
  const blocks = new Float32Array(blockCount(layer));
  for (const [index, scale] of scales.entries()) {
    const block = Math.floor((index * tile) / blockSize);
    if ((index * tile) % blockSize === 0) blocks[block] = scale;
    else if (blocks[block] !== scale) {
      throw invalidMatrix(
        `tile ${index} has the scale ${scale}: expected ${blocks[block]}, that of its block of ${blockSize} weights`,
      );
    }
  }
  return blocks;
}

function unpack(
  quantType: string,
  bytes: PartBytes,
  layer: Layer,
  { rows: { start, count } }: Window,
): QuantizedMatrix {
  const { columns, parameters } = layer;
  const first = start * columns;
  const packed = bytes.get(".weight")!;
  const codes = new Uint8Array(count * columns);
  for (let index = 0; index < codes.length; index++) {
    const nibble = (first % 2) + index;
    codes[index] = nibble % 2 === 0 ? packed[nibble >> 1]! >> 4 : packed[nibble >> 1]! & 15;
  }
  const absmax = bytes.get(".weight.absmax")!;
  const state = bytes.get(stateSuffix(quantType));
  const nested = parameters.nested ?? (state && decodeQuantState(state).nested);
  const parts = parameters.doubleQuantized
    ? {
        kind: "nested" as const,
        codes: absmax,
        absmax: floats(bytes.get(".weight.nested_absmax")!),
        offset: nested?.offset ?? 0,
      }
    : undefined;
  const tile = tileColumns(layer);
  const blockSize = blockSizeOf(layer);
  const firstBlock = Math.floor(first / blockSize);
  const range = {
    start: firstBlock,
    count: Math.ceil((first + codes.length) / blockSize) - firstBlock,
  };
  const blocks =
    parts === undefined
      ? floats(absmax.subarray(range.start * 4, (range.start + range.count) * 4))
      : dequantizeScales({
          indices: parts.codes,
          scales: parts.absmax,
          offset: parts.offset,
          map: floats(bytes.get(".weight.nested_quant_map")!),
          blockSize: nested?.blockSize ?? NESTED_BLOCK,
          range,
        });
  const scales = new Float32Array(codes.length / tile);
  for (let index = 0; index < scales.length; index++) {
    scales[index] = blocks[Math.floor((first + index * tile) / blockSize) - firstBlock]!;
  }
  return {
    rows: count,
    columns,
    bits: 4,
    codes,
    tile: { rows: 1, columns: tile },
    scales,
    values: floats(bytes.get(".weight.quant_map")!),
    // Of all blocks, which is more than those of a window.
    ...(parts !== undefined && count === layer.rows ? { scaleParts: parts } : {}),
  };
}

function floatBytes(values: Float32Array): Uint8Array {
  return encodeElements({ type: "F32", values });
}

function floats(bytes: Uint8Array): Float32Array {
  return decodeElements({ type: "F32", bytes });
}

/**
 * Blocks of the weight seen as one row, the first code of a byte in its high nibble. With double quantization, scales of
 * a matrix without `scaleParts` are those before it, and packing quantizes them.
 */
function bitsandbytes(quantType: "nf4" | "fp4", values: Float32Array): QuantizedFormat {
  return {
    name: `bnb-${quantType}`,
    method: "bitsandbytes",
    conv1d: true,
    problems: (layer) =>
      unmet([
        oneOf("bits", layer.parameters.bits, [4]),
        oneOf("scales", layer.parameters.scaleType, ["F32"]),
        oneOf("weight", layer.parameters.weightType ?? "BF16", [...TORCH_TYPES.keys()]),
        oneOf("blocks of", layer.parameters.tile.columns, BLOCK_SIZES),
        groupedByRow(layer),
        symmetricOnly(layer),
        ...plainOnly(layer, ["doubleQuantized"]),
      ]),
    form: (layer) => ({ tile: { rows: 1, columns: tileColumns(layer) }, scaleType: "F32", values }),
    grid: ({ tile, doubleQuantized = false }) => ({
      name: quantType,
      options: { block: tile.columns, doubleQuantization: doubleQuantized },
    }),
    flattened: true,
    parts: (layer) => parts(quantType, layer),
    pack: (matrix, layer) => pack(quantType, matrix, layer),
    windows: () => ({ along: "rows", rowStep: 1, columnStep: 1 }),
    unpack: (bytes, layer, window) => unpack(quantType, bytes, layer, window),
  };
}

export const bitsandbytesNf4: QuantizedFormat = bitsandbytes("nf4", NF4_VALUES);
export const bitsandbytesFp4: QuantizedFormat = bitsandbytes("fp4", FP4_VALUES);
