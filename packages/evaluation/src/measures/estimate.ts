/** A mean and its standard error. */
export interface Mean {
  readonly value: number;
  readonly error: number;
}

/**
 * Mean of values that are taken as independent. The error is sqrt(variance / (n - 1)), where the variance is that of the n values
 * themselves: as llama-perplexity has it.
 */
export function meanOf(values: Float64Array): Mean {
  const value = sumOf(values) / values.length;
  return { value, error: Math.sqrt(covarianceOfMeans(values, values)) };
}

/** Covariance of the means of two series over the same positions; 0 where there is one position. */
export function covarianceOfMeans(a: Float64Array, b: Float64Array): number {
  const count = a.length;
  if (count < 2) return 0;
  const [meanA, meanB] = [sumOf(a) / count, sumOf(b) / count];
  let sum = 0;
  for (let index = 0; index < count; index++) sum += (a[index]! - meanA) * (b[index]! - meanB);
  return sum / count / (count - 1);
}

/** Square root of the mean square; its error is that of the mean square, over twice the root. */
export function rootMeanSquareOf(values: Float64Array): Mean {
  const { value: meanSquare, error } = meanOf(values.map((value) => value * value));
  const value = Math.sqrt(meanSquare);
  return { value, error: value === 0 ? 0 : error / (2 * value) };
}

/** A share of `count` positions, with the error sqrt(p (1 - p) / (n - 1)). */
export function shareOf(part: number, count: number): Mean {
  const value = part / count;
  return { value, error: count < 2 ? 0 : Math.sqrt((value * (1 - value)) / (count - 1)) };
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
