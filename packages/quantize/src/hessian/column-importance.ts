/** What inputs never were in calibration, they may be in life: no column counts less than this share of the mean. */
const LEAST_SHARE = 1e-3;

/**
 * What errors count by column.
 *
 * @param energies Sums or means of x^2 by column.
 * @returns their shares of the mean; undefined where there is no energy, or no end of it
 */
export function columnImportance(energies: Float32Array | Float64Array): Float32Array | undefined {
  let sum = 0;
  for (const energy of energies) sum += Math.max(energy, 0);
  const mean = sum / energies.length;
  return mean > 0 && mean < Infinity
    ? Float32Array.from(energies, (energy) => Math.max(Math.max(energy, 0) / mean, LEAST_SHARE))
    : undefined;
}

/** The diagonal of a matrix of n x n. */
export function diagonalOf(matrix: Float64Array, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => matrix[i * (n + 1)]!);
}
