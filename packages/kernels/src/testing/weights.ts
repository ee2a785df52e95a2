import { createRandom, type Random } from "./random.ts";

/** A matrix to quantize, row-major. */
export interface WeightSet {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float32Array;
  /** One value per column. */
  readonly importance: Float32Array;
}

/** Weights as a trained linear layer has them: gaussian with sigma 0.02, and a few columns twenty times as wide. */
export function gaussianWeights(rows: number, columns: number, seed: number): WeightSet {
  const random = createRandom(seed);
  const scale = new Float32Array(columns).fill(0.02);
  for (let outlier = 0; outlier < columns / 500; outlier++) scale[random.integer(columns)]! *= 20;
  const weights = new Float32Array(rows * columns);
  for (let i = 0; i < weights.length; i++) weights[i] = random.gaussian() * scale[i % columns]!;
  return {
    name: "gaussian",
    rows,
    columns,
    weights,
    importance: logNormalImportance(columns, random, REALISTIC),
  };
}

/**
 * Groups of 16 integers from -5 to 5 times a scale, so that many lie where codes change; half of the columns have no importance, so
 * that many choices are equally good, or differ by what was rounded.
 */
export function latticeWeights(rows: number, columns: number, seed: number): WeightSet {
  const random = createRandom(seed);
  const weights = new Float32Array(rows * columns);
  let scale = 1;
  for (let i = 0; i < weights.length; i++) {
    if (i % 16 === 0) scale = Math.exp(3 * random.gaussian());
    weights[i] = scale * (random.integer(11) - 5);
  }
  const importance = Float32Array.from({ length: columns }, () => random.integer(2));
  return { name: "lattice", rows, columns, weights, importance };
}

/** Squared activations as they are: some columns are never seen, some dominate. */
const REALISTIC = [0, 1e3];
const EXTREME = [0, 1e3, 1e-15, 1e15];

/** Log-normal values; one column in 64 is multiplied by one of the factors. */
function logNormalImportance(columns: number, random: Random, factors: readonly number[]): Float32Array {
  const draws = 64 * factors.length;
  return Float32Array.from(
    { length: columns },
    () => Math.exp(random.gaussian()) * (factors[random.integer(draws)] ?? 1),
  );
}

const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** One value of a block: `index` counts within the block, `parameter` is a normal draw made once per block. */
type Fill = (random: Random, index: number, parameter: number) => number;

/** Numbers half way between neighbours in the tables of values (ggml-common.h of llama.cpp v0.5.0), with either sign. */
const IQ4_MIDDLES = [
  -115.5, -101, -93.5, -79, -74, -61, -57, -45.5, -42, -31.5, -28.5, -19, -16, -7, -4.5, 4.5, 7, 16, 19, 28.5,
  31.5, 42, 45.5, 57, 61, 74, 79, 93.5, 101, 115.5,
];
const E2M1_MIDDLES = [-5, -3.5, -2.5, -1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5];

const pick = (random: Random, values: readonly number[]): number => values[random.integer(values.length)]!;
/** With a random sign. */
const powerOfTwo = (parameter: number): number => Math.sign(parameter) * 2 ** Math.round(parameter * 8);

/**
 * Blocks on which quantizers take their rare paths: all-zero groups, scales that underflow in F16, sums that overflow,
 * ties in rounding, inputs of one sign, lone spikes.
 */
const EDGE_FILLS: Readonly<Record<string, Fill>> = {
  zeros: () => 0,
  "negative zeros": () => -0,
  "mixed zeros": (random) => (random.uniform() < 0.5 ? 0 : -0),
  "positive constant": (_, __, parameter) => Math.abs(parameter),
  "negative constant": (_, __, parameter) => -Math.abs(parameter),
  "all positive": (random) => Math.abs(random.gaussian()) + 0.01,
  "all negative": (random) => -Math.abs(random.gaussian()) - 0.01,
  "denormals of 1e-40": (random) => random.gaussian() * 1e-40,
  "denormals of 1e-38": (random) => random.gaussian() * 1e-38,
  "1e-20": (random) => random.gaussian() * 1e-20,
  "1e-15, the threshold of an empty group": (random) => random.gaussian() * 1e-15,
  "1e18, products with importance overflow": (random) => random.gaussian() * 1e18,
  "1e30": (random) => random.gaussian() * 1e30,
  "1e38, sums overflow": (random) => random.gaussian() * 1e38,
  "single positive spike": (_, index, parameter) => (index === 5 ? Math.abs(parameter) : 0),
  "single negative spike": (_, index, parameter) => (index === 11 ? -Math.abs(parameter) : 0),
  "spike over noise": (random, index) => (index === 9 ? 100 : random.gaussian() * 1e-3),
  alternating: (_, index, parameter) => (index % 2 === 0 ? parameter : -parameter),
  "nearly constant": (random, _, parameter) => parameter * (1 + random.gaussian() * 1e-6),
  "ties of a quarter": (random) => (random.integer(33) - 16) / 4,
  "ties of a half": (random) => (random.integer(129) - 64) / 2,
  "three values, hence ties in sorting": (random, _, parameter) => (random.integer(3) - 1) * parameter,
  "integer ties with full range": (random, index) => (index === 0 ? -8 : random.integer(32) / 2 - 8),
  "forty octaves": (random) => random.gaussian() * 2 ** (random.integer(40) - 20),
  "any power of ten": (random, _, parameter) => random.gaussian() * 10 ** (parameter * 15),
  "scales that are denormal in F16": (random) => random.gaussian() * 1e-6,
  "scales that vanish in F16": (random) => random.gaussian() * 1e-8,
  "between two values of IQ4": (random, index, parameter) =>
    (index === 0 ? -127 : pick(random, IQ4_MIDDLES)) * powerOfTwo(parameter),
  "between two values of E2M1": (random, index, parameter) =>
    (index === 0 ? 6 : pick(random, E2M1_MIDDLES)) * powerOfTwo(parameter),
  "just below a power of two": (random, _, parameter) =>
    2 ** Math.round(parameter * 40) * (1 - random.integer(100) * 2 ** -24),
  "around the limits of E8M0": (random, _, parameter) =>
    random.gaussian() * 2 ** (parameter < 0 ? -126 + 2 * parameter : 127),
  "around the limits of UE4M3": (random, _, parameter) =>
    random.gaussian() * 2 ** (parameter < 0 ? -8 + 2 * parameter : 11 + 8 * parameter),
  "1e-8, the threshold of an empty group of some types": (random) => random.gaussian() * 5e-9,
  "borders of codebook cells": (random, index) =>
    index === 0 ? 5 : [2, 4][random.integer(2)]! * (1 + (random.integer(3) - 1) * 1e-6),
  "borders of the cells of finer codebooks": (random, index) =>
    index === 0 ? 15 : 2 * (1 + random.integer(7)) * (1 + (random.integer(3) - 1) * 1e-6),
  "one level off a border": (random, _, parameter) =>
    parameter * (random.integer(6) + random.gaussian() * 1e-3),
};

const plain: Fill = (random) => random.gaussian() * 0.02;

/**
 * Blocks of 16, 32 or 256 weights, each filled by one edge mode drawn at random; one in eight is plain gaussian. Columns of no
 * importance hold outliers of all sizes, which make searches with importance find scales and minimums of the wrong sign. Nothing
 * exceeds `largest`.
 */
export function edgeWeights(
  rows: number,
  columns: number,
  seed: number,
  largest = LARGEST_FLOAT32,
): WeightSet {
  const random = createRandom(seed);
  const fills = Object.values(EDGE_FILLS);
  const weights = new Float32Array(rows * columns);
  for (let start = 0; start < weights.length;) {
    const length = Math.min([16, 32, 256][random.integer(3)]!, weights.length - start);
    const fill = random.integer(8) === 0 ? plain : fills[random.integer(fills.length)]!;
    const parameter = random.gaussian();
    for (let i = 0; i < length; i++) {
      const value = fill(random, i, parameter);
      weights[start + i] = Math.max(-largest, Math.min(largest, value));
    }
    start += length;
  }
  const importance = logNormalImportance(columns, random, EXTREME);
  for (let i = 0; i < weights.length; i++) {
    if (importance[i % columns] !== 0 || random.uniform() < 0.5) continue;
    const value = random.gaussian() * 10 ** (random.integer(30) - 10);
    weights[i] = Math.max(-largest, Math.min(largest, value));
  }
  return { name: "edge", rows, columns, weights, importance };
}

/**
 * Weights of one sign in each 32, but one column in 16 matters nothing and holds outliers. Searches with importance then find
 * minimums beyond all weights that matter, and scales of the wrong sign.
 */
export function outlierWeights(rows: number, columns: number, seed: number): WeightSet {
  const random = createRandom(seed);
  const importance = Float32Array.from({ length: columns }, () =>
    random.integer(16) === 0 ? 0 : Math.exp(random.gaussian()),
  );
  const weights = new Float32Array(rows * columns);
  for (let start = 0; start < weights.length; start += 32) {
    const sign = random.uniform() < 0.5 ? -1 : 1;
    for (let i = start; i < start + 32; i++) {
      const size = importance[i % columns] === 0 ? 10 ** random.integer(4) : 1;
      weights[i] = sign * Math.abs(random.gaussian()) * size;
    }
  }
  return { name: "outliers", rows, columns, weights, importance };
}

/**
 * One weight in each 32 matters nothing, but is ten to a thousand million times as large as the others. Where a type can store an even
 * number of signs alone, every second one turns into the negative of itself that counts for no scale: rounded to an integer at the scales of
 * the others it wraps around, at each scale to another level. Nothing exceeds `largest`.
 */
export function giantWeights(rows: number, columns: number, seed: number, largest: number): WeightSet {
  const random = createRandom(seed);
  const importance = Float32Array.from({ length: columns }, () => Math.exp(random.gaussian()));
  for (let start = 0; start < columns; start += 32) importance[start + random.integer(32)] = 0;
  const weights = Float32Array.from({ length: rows * columns }, (_, i) => {
    const size = importance[i % columns] === 0 ? 10 ** (7 + random.integer(3)) : 1;
    return Math.max(-largest, Math.min(largest, random.gaussian() * size));
  });
  return { name: "giants", rows, columns, weights, importance };
}
