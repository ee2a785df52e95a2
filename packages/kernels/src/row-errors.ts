import type { RowErrors } from "./kernels.ts";

/** Numbers that the kernels write for a row: `quern_row_error` of csrc/kernel.h, in its order. */
const FIGURES = [
  "squaredWeights",
  "squaredErrors",
  "weightedWeights",
  "weightedErrors",
  "largestErrors",
  "clipped",
  "vanished",
  "groups",
] as const satisfies readonly (keyof RowErrors)[];

export const ROW_FIGURES: number = FIGURES.length;

/** @param figures `ROW_FIGURES` numbers for each row, row by row */
export function rowErrors(figures: Float64Array): RowErrors {
  const rows = figures.length / ROW_FIGURES;
  const column = (place: number): Float64Array => {
    const values = new Float64Array(rows);
    for (let row = 0; row < rows; row++) values[row] = figures[row * ROW_FIGURES + place]!;
    return values;
  };
  return Object.fromEntries(FIGURES.map((figure, place) => [figure, column(place)])) as unknown as RowErrors;
}
