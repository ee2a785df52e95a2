import type { ErrorRecord, OutputError } from "./conversion.ts";

/** Sums over weights, and how many weights these are. */
export interface MeasuredSums {
  readonly elements: number;
  readonly squaredErrors: number;
  readonly squaredWeights: number;
  readonly weighted?: { readonly squaredErrors: number; readonly squaredWeights: number };
  readonly hessian?: { readonly squaredErrors: number; readonly squaredWeights: number };
  readonly largestError: number;
  readonly clipped: number;
  readonly vanished: number;
  readonly groups: number;
}

/** What follows from sums. Weights that are all zero, and stay so, have no error. */
export function errorRecord(sums: MeasuredSums): ErrorRecord {
  const { squaredErrors, squaredWeights, weighted, hessian, elements, ...counts } = sums;
  const relative = relativeTo({ squaredErrors, squaredWeights });
  return {
    ...relative,
    ...(squaredErrors > 0 ? { snr: -10 * Math.log10(relative.relativeSquaredError) } : {}),
    largestError: counts.largestError,
    clipped: counts.clipped,
    clippedShare: share(counts.clipped, elements),
    vanished: counts.vanished,
    groups: counts.groups,
    vanishedShare: share(counts.vanished, counts.groups),
    ...(weighted === undefined ? {} : { output: relativeTo(weighted) }),
    ...(hessian === undefined ? {} : { hessian: relativeTo(hessian) }),
  };
}

/** Adds sums up; those with importance where all have them, those with Hessians of tensors that have them. Undefined for none. */
export function addSums(parts: readonly MeasuredSums[]): MeasuredSums | undefined {
  if (parts.length === 0) return undefined;
  const sum = (of: (part: MeasuredSums) => number): number => parts.reduce((all, part) => all + of(part), 0);
  const hessians = parts.flatMap(({ hessian }) => hessian ?? []);
  const weighted = parts.every((part) => part.weighted !== undefined);
  return {
    elements: sum((part) => part.elements),
    squaredErrors: sum((part) => part.squaredErrors),
    squaredWeights: sum((part) => part.squaredWeights),
    ...(weighted
      ? {
          weighted: {
            squaredErrors: sum((part) => part.weighted!.squaredErrors),
            squaredWeights: sum((part) => part.weighted!.squaredWeights),
          },
        }
      : {}),
    ...(hessians.length === 0
      ? {}
      : {
          hessian: {
            squaredErrors: hessians.reduce((all, { squaredErrors }) => all + squaredErrors, 0),
            squaredWeights: hessians.reduce((all, { squaredWeights }) => all + squaredWeights, 0),
          },
        }),
    largestError: parts.reduce((most, part) => Math.max(most, part.largestError), 0),
    clipped: sum((part) => part.clipped),
    vanished: sum((part) => part.vanished),
    groups: sum((part) => part.groups),
  };
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
