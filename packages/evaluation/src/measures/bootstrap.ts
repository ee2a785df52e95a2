import { percentileOf } from "./spread.ts";

/** How intervals are found. */
export interface Confidence {
  /** Share of the intervals that hold the true value. */
  readonly level: number;
  /** Times that windows are drawn. */
  readonly resamples: number;
  readonly seed: number;
}

/** Intervals that hold the value in 95 of 100 cases. */
export const DEFAULT_CONFIDENCE: Confidence = { level: 0.95, resamples: 1000, seed: 1 };

/** Sums over the positions of a window, and how many they are. */
export interface WindowSums {
  readonly positions: number;
  readonly sums: readonly number[];
}

/** An interval for each figure, by its name. */
export type Intervals<Name extends string> = Readonly<Record<Name, readonly [low: number, high: number]>>;

/**
 * Percentile bootstrap (Efron and Tibshirani 1993, chapter 13): windows are drawn with replacement, as many as there are, from each
 * group as many as it has. Positions of a window depend on each other, windows hardly do.
 *
 * @param params.groups Windows of each domain.
 * @param params.figures What becomes of the means over all drawn positions.
 * @returns undefined where no group has two windows
 */
export function bootstrapIntervals<Name extends string>(params: {
  readonly groups: readonly (readonly WindowSums[])[];
  readonly figures: Readonly<Record<Name, (means: Float64Array) => number>>;
  readonly confidence: Confidence;
}): Intervals<Name> | undefined {
  const { groups, figures, confidence } = params;
  const { level, resamples, seed } = confidence;
  if (groups.every((group) => group.length < 2)) return undefined;
  const names = Object.keys(figures) as Name[];
  const drawn = names.map(() => new Float64Array(resamples));
  const means = new Float64Array(groups.flat()[0]!.sums.length);
  const draw = generator(seed);
  for (let resample = 0; resample < resamples; resample++) {
    means.fill(0);
    let positions = 0;
    for (const group of groups) {
      for (let count = 0; count < group.length; count++) {
        const window = group[Math.floor(draw() * group.length)]!;
        positions += window.positions;
        for (let index = 0; index < means.length; index++) means[index]! += window.sums[index]!;
      }
    }
    for (let index = 0; index < means.length; index++) means[index]! /= positions;
    for (const [index, name] of names.entries()) drawn[index]![resample] = figures[name](means);
  }
  const outside = 50 * (1 - level);
  const intervals = drawn.map((values) => {
    values.sort();
    return [percentileOf(values, outside), percentileOf(values, 100 - outside)] as const;
  });
  return Object.fromEntries(names.map((name, index) => [name, intervals[index]!])) as Intervals<Name>;
}

/** Numbers from 0 to below 1: xorshift32 (Marsaglia 2003). */
function generator(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
