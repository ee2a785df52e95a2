import type { InputChange } from "@quern/models";
import { randomizedHadamard } from "@quern/quantize";
import type { InputStatistics } from "@quern/statistics";

/** Finds out what is known of inputs after they have been changed: the Hessian and what is held out, in shared memory, are changed in place. */
export interface ChangeInputsTask {
  readonly kind: "change-inputs";
  /** One of the layers that read them, for reports. */
  readonly tensor: string;
  readonly statistics: InputStatistics;
  /** One after the other. */
  readonly changes: readonly InputChange[];
}

/**
 * Means follow exactly, and mean squares from the Hessian. Without one, every rotated column has the mean of all, as it has on average over
 * random signs; mean magnitudes are those of a normal distribution, and largest magnitudes a bound.
 */
export function changeInputs({ statistics, changes }: ChangeInputsTask): InputStatistics {
  return changes.reduce(
    (known, change) =>
      "divided" in change ? divided(known, change.divided) : rotated(known, change.rotated),
    statistics,
  );
}

function divided(statistics: InputStatistics, by: Float32Array | Float64Array): InputStatistics {
  const n = by.length;
  // What a norm multiplied by 0 is not known any more, and does not count.
  const inverse = Float64Array.from(by, (factor) => (factor === 0 ? 0 : 1 / factor));
  const { hessian, heldOut, mean, meanSquare, meanMagnitude, largestMagnitude } = statistics;
  for (let index = 0; index < (hessian?.length ?? 0); index++) {
    hessian![index]! *= inverse[Math.floor(index / n)]! * inverse[index % n]!;
  }
  for (let index = 0; index < (heldOut?.length ?? 0); index++) heldOut![index]! *= inverse[index % n]!;
  const magnitudes = (values: Float32Array): Float32Array =>
    values.map((value, column) => value * Math.abs(inverse[column]!));
  return {
    ...statistics,
    mean: mean.map((value, column) => value * inverse[column]!),
    meanSquare: meanSquare.map((value, column) => value * inverse[column]! ** 2),
    meanMagnitude: magnitudes(meanMagnitude),
    largestMagnitude: magnitudes(largestMagnitude),
  };
}

type Rotated = Extract<InputChange, { rotated: object }>["rotated"];

function rotated(statistics: InputStatistics, { size, seed, starts }: Rotated): InputStatistics {
  const { hessian, heldOut, mean, tokens } = statistics;
  const n = mean.length;
  const { forward } = randomizedHadamard({ size, seed });
  const blocks = starts ?? Int32Array.from({ length: n / size }, (_, block) => block * size);
  const rotateRows = (values: Float32Array | Float64Array): void => {
    for (let row = 0; row < values.length; row += n) {
      for (const start of blocks) {
        const first = row + start;
        values.set(forward(Float64Array.from(values.subarray(first, first + size))), first);
      }
    }
  };
  if (hessian) {
    rotateRows(hessian);
    transpose(hessian, n);
    rotateRows(hessian);
  }
  if (heldOut) rotateRows(heldOut);
  const means = mean.slice();
  rotateRows(means);
  const meanSquare = hessian
    ? statistics.meanSquare.map((_, column) =>
        tokens === 0 ? 0 : Math.max(0, hessian[column * n + column]!) / tokens,
      )
    : ofBlocks(
        statistics.meanSquare,
        blocks,
        size,
        (own) => own.reduce((sum, value) => sum + value, 0) / size,
      );
  return {
    ...statistics,
    mean: means,
    meanSquare,
    meanMagnitude: meanSquare.map((value) => Math.sqrt((2 / Math.PI) * value)),
    largestMagnitude: ofBlocks(statistics.largestMagnitude, blocks, size, (own) => Math.hypot(...own)),
  };
}

function ofBlocks(
  values: Float32Array,
  blocks: Int32Array,
  size: number,
  of: (own: Float32Array) => number,
): Float32Array {
  const result = values.slice();
  for (const start of blocks) result.fill(of(values.subarray(start, start + size)), start, start + size);
  return result;
}

function transpose(matrix: Float64Array, n: number): void {
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < row; column++) {
      const value = matrix[row * n + column]!;
      matrix[row * n + column] = matrix[column * n + row]!;
      matrix[column * n + row] = value;
    }
  }
}
