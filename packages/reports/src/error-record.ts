import type { ErrorRecord, OutputError } from "./conversion.ts";

/** Sums over weights, and how many weights these are; counts are absent where only sums are known. */
export interface MeasuredSums extends Partial<MeasuredCounts> {
  readonly elements: number;
  readonly squaredErrors: number;
  readonly squaredWeights: number;
  readonly weighted?: SquaredSums;
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
  const { squaredErrors, squaredWeights, weighted, heldOut, elements } = sums;
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
    ...(weighted === undefined ? {} : { output: relativeTo(weighted) }),
    ...(heldOut === undefined ? {} : { heldOut: relativeTo(heldOut) }),
  };
}

/** Adds sums up; those with importance, those of held-out inputs and counts where all have them. Undefined for none. */
export function addSums(parts: readonly MeasuredSums[]): MeasuredSums | undefined {
  if (parts.length === 0) return undefined;
  const sum = <Part>(own: readonly Part[], of: (part: Part) => number): number =>
    own.reduce((all, part) => all + of(part), 0);
  const ofAll = <Part>(of: (part: MeasuredSums) => Part | undefined): Part[] | undefined => {
    const known = parts.flatMap((part) => of(part) ?? []);
    return known.length === parts.length ? known : undefined;
  };
  const squares = (own: readonly SquaredSums[]): SquaredSums => ({
    squaredErrors: sum(own, (part) => part.squaredErrors),
    squaredWeights: sum(own, (part) => part.squaredWeights),
  });
  const weighted = ofAll((part) => part.weighted);
  const heldOut = ofAll((part) => part.heldOut);
  const counts = ofAll(countsOf);
  return {
    elements: sum(parts, (part) => part.elements),
    ...squares(parts),
    ...(weighted && { weighted: squares(weighted) }),
    ...(heldOut && { heldOut: squares(heldOut) }),
    ...(counts && {
      largestError: counts.reduce((most, part) => Math.max(most, part.largestError), 0),
      clipped: sum(counts, (part) => part.clipped),
      vanished: sum(counts, (part) => part.vanished),
      groups: sum(counts, (part) => part.groups),
    }),
  };
}

function countsOf({
  largestError,
  clipped,
  vanished,
  groups,
}: Partial<MeasuredCounts>): MeasuredCounts | undefined {
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
