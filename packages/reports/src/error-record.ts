import type { ErrorRecord, OutputError } from "./conversion.ts";

/** Sums over weights, and how many weights these are; counts are absent where only sums are known. */
export interface MeasuredSums extends Partial<MeasuredCounts> {
  readonly elements: number;
  readonly squaredErrors: number;
  readonly squaredWeights: number;
  readonly weighted?: SquaredSums;
  readonly hessian?: SquaredSums;
  readonly heldOut?: SquaredSums;
}

interface SquaredSums {
  readonly squaredErrors: number;
  readonly squaredWeights: number;
}

/** What is found out weight by weight. */
interface MeasuredCounts {
  readonly largestError: number;
  readonly clipped: number;
  readonly vanished: number;
  readonly groups: number;
}

/** What follows from sums. Weights that are all zero, and stay so, have no error. */
export function errorRecord(sums: MeasuredSums): ErrorRecord {
  const { squaredErrors, squaredWeights, weighted, hessian, heldOut, elements } = sums;
  const counts = countsOf(sums);
  const relative = relativeTo({ squaredErrors, squaredWeights });
  return {
    ...relative,
    ...(squaredErrors > 0 ? { snr: -10 * Math.log10(relative.relativeSquaredError) } : {}),
    ...(counts && {
      ...counts,
      clippedShare: share(counts.clipped, elements),
      vanishedShare: share(counts.vanished, counts.groups),
    }),
    ...(weighted && { output: relativeTo(weighted) }),
    ...(hessian && { hessian: relativeTo(hessian) }),
    ...(heldOut && { heldOut: relativeTo(heldOut) }),
  };
}

/**
 * Adds sums up; those with importance and counts where all have them, those with Hessians or held-out inputs of tensors that have them.
 * Undefined for none.
 */
export function addSums(parts: readonly MeasuredSums[]): MeasuredSums | undefined {
  if (parts.length === 0) return undefined;
  const weighted = parts.flatMap((part) => part.weighted ?? []);
  const hessians = parts.flatMap((part) => part.hessian ?? []);
  const heldOut = parts.flatMap((part) => part.heldOut ?? []);
  const counts = parts.flatMap((part) => countsOf(part) ?? []);
  return {
    elements: sumOf(parts, ({ elements }) => elements),
    ...squaresOf(parts),
    ...(weighted.length === parts.length && { weighted: squaresOf(weighted) }),
    ...(hessians.length > 0 && { hessian: squaresOf(hessians) }),
    ...(heldOut.length > 0 && { heldOut: squaresOf(heldOut) }),
    ...(counts.length === parts.length && {
      largestError: counts.reduce((most, { largestError }) => Math.max(most, largestError), 0),
      clipped: sumOf(counts, ({ clipped }) => clipped),
      vanished: sumOf(counts, ({ vanished }) => vanished),
      groups: sumOf(counts, ({ groups }) => groups),
    }),
  };
}

function sumOf<Part>(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((all, part) => all + of(part), 0);
}

function squaresOf(parts: readonly SquaredSums[]): SquaredSums {
  return {
    squaredErrors: sumOf(parts, ({ squaredErrors }) => squaredErrors),
    squaredWeights: sumOf(parts, ({ squaredWeights }) => squaredWeights),
  };
}

function countsOf(sums: Partial<MeasuredCounts>): MeasuredCounts | undefined {
  const { largestError, clipped, vanished, groups } = sums;
  if (largestError === undefined || clipped === undefined || vanished === undefined || groups === undefined) {
    return undefined;
  }
  return { largestError, clipped, vanished, groups };
}

function relativeTo(sums: { squaredErrors: number; squaredWeights: number }): OutputError {
  const { squaredErrors, squaredWeights } = sums;
  const relativeSquaredError = share(squaredErrors, squaredWeights);
  return {
    squaredErrors,
    squaredWeights,
    relativeSquaredError,
    relativeError: Math.sqrt(relativeSquaredError),
  };
}

function share(part: number, whole: number): number {
  return part === 0 ? 0 : part / whole;
}
