import { QuernError } from "@quern/tensor";
import type { WeightChanges } from "./weight-changes.ts";
import type { Folding } from "./folding.ts";
import { scaleTensors } from "./scale-tensors.ts";

/** A folding and what has been chosen for it. */
export interface ChosenFolding {
  readonly folding: Folding;
  /** By column of the input, positive and finite; the same for columns that are tied. */
  readonly factors: Float32Array;
}

/**
 * What becomes of the checkpoint's tensors when factors are folded in.
 *
 * @throws QuernError `FOLDING_FACTORS` for factors that are not positive and finite, too many or too few, or not the same where they must be
 */
export function foldedScales(chosen: readonly ChosenFolding[]): WeightChanges {
  return scaleTensors(
    chosen.flatMap(({ folding, factors }) => {
      checkFactors(folding, factors);
      const exact = Float64Array.from(factors);
      const inverse = exact.map((factor) => 1 / factor);
      return [
        ...folding.multiplied.map((part) => ({ part, factors: exact })),
        ...folding.divided.map((part) => ({ part, factors: inverse })),
      ];
    }),
  );
}

function checkFactors({ name, columns, tied }: Folding, factors: Float32Array): void {
  const wrong = (found: string): QuernError =>
    new QuernError("FOLDING_FACTORS", `factors of ${name}: ${found}`, { subject: { key: name } });
  if (factors.length !== columns)
    throw wrong(`${factors.length}, expected one for each of ${columns} columns`);
  const invalid = factors.findIndex((factor) => !(factor > 0 && factor < Infinity));
  if (invalid >= 0) throw wrong(`${factors[invalid]} for column ${invalid}, expected a positive number`);
  if (tied === undefined) return;
  const known = new Map<number, number>();
  for (const [column, group] of tied.entries()) {
    const factor = known.get(group) ?? factors[column]!;
    if (factor !== factors[column])
      throw wrong(`${factors[column]} for column ${column}, which has to have ${factor}`);
    known.set(group, factor);
  }
}
