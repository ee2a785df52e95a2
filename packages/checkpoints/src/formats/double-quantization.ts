import { DYNAMIC_VALUES } from "@quern/quantize/tables";
import type { Range } from "./format.ts";

/** Scales in a block of scales. */
export const NESTED_BLOCK = 256;

/** Scales as indices into a map, to be multiplied by the scale of their block and moved by the offset. */
export interface NestedScales {
  readonly indices: Uint8Array;
  readonly scales: Float32Array;
  readonly offset: number;
}

/** Half-way between neighbours of the map, in float32 as `torch.bucketize` compares. */
const MIDPOINTS = Float32Array.from({ length: 255 }, (_, index) =>
  Math.fround(Math.fround(DYNAMIC_VALUES[index]! + DYNAMIC_VALUES[index + 1]!) / 2),
);

/**
 * Quantizes scales in blocks of 256 (QLoRA, arXiv 2305.14314, section 3; bitsandbytes/backends/default/ops.py,
 * `quantize_blockwise`), less their mean.
 */
export function quantizeScales(scales: Float32Array): NestedScales {
  let sum = 0;
  for (const scale of scales) sum += scale;
  const offset = Math.fround(sum / scales.length);
  const moved = scales.map((scale) => scale - offset);
  const nested = new Float32Array(Math.ceil(scales.length / NESTED_BLOCK));
  const indices = new Uint8Array(scales.length);
  for (let block = 0; block < nested.length; block++) {
    const first = block * NESTED_BLOCK;
    const values = moved.subarray(first, first + NESTED_BLOCK);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    nested[block] = largest;
    const reciprocal = Math.fround(1 / Math.max(largest, 1e-38));
    for (const [index, value] of values.entries()) {
      const normalized = Math.min(1, Math.max(-1, Math.fround(value * reciprocal)));
      indices[first + index] = midpointsBelow(normalized);
    }
  }
  return { indices, scales: nested, offset };
}

/** Some of the scales that indices stand for, each operation in float32. */
export function dequantizeScales(
  params: NestedScales & {
    readonly map: Float32Array;
    readonly blockSize: number;
    /** @default all */
    readonly range?: Range;
  },
): Float32Array {
  const { indices, scales, offset, map, blockSize } = params;
  const { start, count } = params.range ?? { start: 0, count: indices.length };
  const dequantized = new Float32Array(count);
  for (let position = 0; position < count; position++) {
    const index = start + position;
    dequantized[position] =
      Math.fround(map[indices[index]!]! * scales[Math.floor(index / blockSize)]!) + offset;
  }
  return dequantized;
}

function midpointsBelow(value: number): number {
  let low = 0;
  let high = MIDPOINTS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (MIDPOINTS[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
