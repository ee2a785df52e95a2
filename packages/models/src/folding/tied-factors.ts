import type { Folding } from "./folding.ts";

/**
 * Factors as near to the given ones as a folding allows: columns that must have the same get the geometric mean of theirs.
 *
 * @param factors By column, positive.
 */
export function tieFactors({ tied }: Pick<Folding, "tied">, factors: Float32Array): Float32Array {
  if (tied === undefined) return factors;
  const groups = tied.reduce((most, group) => Math.max(most, group), -1) + 1;
  const sums = new Float64Array(groups);
  const counts = new Float64Array(groups);
  for (const [column, group] of tied.entries()) {
    sums[group]! += Math.log(factors[column]!);
    counts[group]! += 1;
  }
  return factors.map((_, column) => Math.exp(sums[tied[column]!]! / counts[tied[column]!]!));
}
