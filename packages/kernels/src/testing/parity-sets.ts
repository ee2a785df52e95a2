import { largestWeight, type GgmlLibrary, type GgmlType } from "./ggml-library.ts";
import { trainedWeights } from "./trained-weights.ts";
import {
  edgeWeights,
  gaussianWeights,
  giantWeights,
  latticeWeights,
  outlierWeights,
  type WeightSet,
} from "./weights.ts";

/** Weights as the kernels get them, and as float32 for ggml, which quantizes nothing else. */
export interface ParitySet extends WeightSet {
  readonly sourceType: "F32" | "F16" | "BF16";
  readonly source: Uint8Array;
}

const SLICE = 1 << 20;
const COLUMNS = 4096;
/** One row of this takes more than the kernels convert at a time. */
const LONG_ROW = 259 * 256;

/**
 * About `total` weights: per million, half plain gaussian, a quarter edge cases, the rest gaussian and edge cases from BF16 and
 * F16 sources; a few matrices that leave blocks, rows and vectors incomplete; one of few different weights; one of outliers that
 * do not matter, and one of such that are so large that codes wrap around; and 360,000 weights of a trained model.
 */
export function* paritySets(total: number, type: GgmlType, ggml: GgmlLibrary): Generator<ParitySet> {
  const blockSize = ggml.blockSize(type);
  const edge = (rows: number, columns: number, seed: number): WeightSet =>
    edgeWeights(rows, columns, seed, largestWeight(type));
  const oddShapes: readonly (readonly [number, number])[] = [
    [1, blockSize],
    [3, 3 * blockSize],
    [5, 5 * blockSize],
    [67, blockSize],
    [2, LONG_ROW],
  ];
  for (const [index, [rows, columns]] of oddShapes.entries()) {
    yield fromFloat32(gaussianWeights(rows, columns, 100 + index));
    yield fromFloat32(edge(rows, columns, 200 + index));
    yield narrowed(edge(rows, columns, 300 + index), "BF16", ggml);
  }
  yield fromFloat32(latticeWeights(32, COLUMNS, 400));
  yield fromFloat32(outlierWeights(32, COLUMNS, 500));
  yield fromFloat32(giantWeights(16, COLUMNS, 600, largestWeight(type)));
  yield trained(ggml);
  for (let done = 0, seed = 1000; done < total; done += SLICE, seed += 10) {
    const rows = Math.ceil(Math.min(SLICE, total - done) / COLUMNS / 16);
    yield fromFloat32(gaussianWeights(8 * rows, COLUMNS, seed));
    yield fromFloat32(edge(4 * rows, COLUMNS, seed + 1));
    yield narrowed(gaussianWeights(rows, COLUMNS, seed + 2), "BF16", ggml);
    yield narrowed(edge(rows, COLUMNS, seed + 3), "BF16", ggml);
    yield narrowed(gaussianWeights(rows, COLUMNS, seed + 4), "F16", ggml);
    yield narrowed(edge(rows, COLUMNS, seed + 5), "F16", ggml);
  }
}

function fromFloat32(set: WeightSet): ParitySet {
  return {
    ...set,
    name: describeSet(set, "F32"),
    sourceType: "F32",
    source: new Uint8Array(set.weights.buffer),
  };
}

/** The set rounded towards zero to 16 bits, and ggml's float32 of that. */
function narrowed(set: WeightSet, sourceType: "F16" | "BF16", ggml: GgmlLibrary): ParitySet {
  const bits = new Uint32Array(set.weights.buffer);
  const halves = Uint16Array.from(bits, sourceType === "BF16" ? (word) => word >>> 16 : truncateToFloat16);
  const weights = new Float32Array(halves.length);
  ggml.widen(sourceType, halves, weights);
  return {
    ...set,
    name: describeSet(set, sourceType),
    weights,
    sourceType,
    source: new Uint8Array(halves.buffer),
  };
}

function trained(ggml: GgmlLibrary): ParitySet {
  const { halves, rows, columns } = trainedWeights();
  const weights = new Float32Array(halves.length);
  ggml.widen("BF16", halves, weights);
  const { importance } = gaussianWeights(1, columns, 400);
  const set = { name: "trained", rows, columns, weights, importance };
  const source = new Uint8Array(halves.buffer);
  return { ...set, name: describeSet(set, "BF16"), sourceType: "BF16", source };
}

/** Bits of a finite float32 to those of a float16: large values become the largest one, small ones denormal or zero. */
function truncateToFloat16(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const exponent = ((word >>> 23) & 0xff) - 127 + 15;
  const mantissa = word & 0x7fffff;
  if (exponent >= 31) return sign | 0x7bff;
  if (exponent > 0) return sign | (exponent << 10) | (mantissa >>> 13);
  return exponent < -10 ? sign : sign | ((mantissa | 0x800000) >>> (14 - exponent));
}

function describeSet(set: WeightSet, sourceType: string): string {
  return `${set.name} ${set.rows} x ${set.columns} ${sourceType}`;
}
