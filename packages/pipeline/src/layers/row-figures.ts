import type { RowOutputErrors } from "@quern/quantize";

/** What rounding did to rows of a layer, an element for each; added up in the order of rows, figures are the same however rows were shared. */
export interface RowFigures {
  /** Sums of (weight - new weight)^2. */
  readonly squaredErrors: Float64Array;
  /** Sums of weight^2. */
  readonly squaredWeights: Float64Array;
  /** On inputs that were held out, where there are some. */
  readonly outputs?: RowOutputErrors;
}

/** Figures of all rows, in their order. */
export interface FigureSums {
  readonly squaredErrors: number;
  readonly squaredWeights: number;
  readonly outputErrors: number;
  readonly outputSignals: number;
}

/** @param parts In the order of rows. */
export function sumOfFigures(parts: readonly RowFigures[]): FigureSums {
  const sum = (of: (figures: RowFigures) => Float64Array | undefined): number => {
    let total = 0;
    for (const part of parts) for (const value of of(part) ?? []) total += value;
    return total;
  };
  return {
    squaredErrors: sum(({ squaredErrors }) => squaredErrors),
    squaredWeights: sum(({ squaredWeights }) => squaredWeights),
    outputErrors: sum(({ outputs }) => outputs?.errors),
    outputSignals: sum(({ outputs }) => outputs?.signals),
  };
}
