import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import type { QuantizedMatrix } from "@quern/quantize";
import type { Layer, LayerParameters, QuantizedFormat } from "../formats/format.ts";
import { tileCounts } from "../formats/format.ts";

const BASE: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 32 },
  symmetric: true,
  scaleType: "F16",
};

/** A layer of a format, its parameters those of `BASE` but for the ones given. */
export function layerOf(rows: number, columns: number, parameters: Partial<LayerParameters> = {}): Layer {
  return { rows, columns, parameters: { ...BASE, ...parameters } };
}

/** Numbers from 0 to 2^32 - 1 that a seed determines. */
export function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return (word ^ (word >>> 14)) >>> 0;
  };
}

/** A matrix of random codes and scales that a format can hold for a layer. */
export function randomMatrix(format: QuantizedFormat, layer: Layer, seed = 1): QuantizedMatrix {
  const random = randomWords(seed);
  const form = format.form(layer);
  const { rows, columns, parameters } = layer;
  const tile = form.tile;
  const tileColumns = Math.ceil(columns / tile.columns);
  const tiles = Math.ceil(rows / tile.rows) * tileColumns;
  const magnitude = (): number => ((random() % 1000) + 1) / 4096;
  const numbers = (type: ElementType, make: () => number): Float32Array => {
    const values = Float32Array.from({ length: tiles }, make);
    return decodeElements({ type, bytes: encodeElements({ type, values }) });
  };
  const scales =
    format.name === "bnb-int8"
      ? Float32Array.from({ length: tiles }, () => Math.fround(Math.fround(magnitude()) / 127))
      : format.name === "nvfp4-pack-quantized"
        ? numbers("F8_E4M3", magnitude).map((scale) => scale / GLOBAL_SCALE)
        : numbers(form.scaleType ?? "F32", magnitude);
  const { zeros, offsets, values } = form;
  return {
    rows,
    columns,
    bits: parameters.bits,
    codes: Uint8Array.from({ length: rows * columns }, () => random() % 2 ** parameters.bits),
    tile,
    scales: sharedByBlock(scales, layer, form.tile.columns),
    ...(zeros === undefined
      ? {}
      : {
          zeros: Uint8Array.from(
            { length: tiles },
            () => zeros.smallest + (random() % (zeros.largest - zeros.smallest + 1)),
          ),
        }),
    ...(offsets === undefined ? {} : { offsets: numbers(offsets, () => magnitude() - 0.1) }),
    ...(values === undefined ? {} : { values }),
    ...(parameters.actOrder
      ? { groupIndex: Int32Array.from({ length: columns }, () => random() % tileCounts(layer).columns) }
      : {}),
  };
}

/** For {@link randomMatrix} of NVFP4. */
export const GLOBAL_SCALE = 12.5;

/** Tiles that are smaller than the blocks of the format have the scale of the block that they are in. */
function sharedByBlock(scales: Float32Array, layer: Layer, tileColumns: number): Float32Array {
  const { columns: blockSize } = layer.parameters.tile;
  if (blockSize === "all" || blockSize <= tileColumns) return scales;
  const perBlock = blockSize / tileColumns;
  return scales.map((_, tile) => scales[tile - (tile % perBlock)]!);
}
