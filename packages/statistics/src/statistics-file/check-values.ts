import { ENTRIES, type StatisticsEntry } from "./entries.ts";

/** Largest numbers that entries hold: floats, and integers that are exact as numbers. */
const LARGEST = { F32: 3.4028234663852886e38, I64: Number.MAX_SAFE_INTEGER };

/**
 * Looks for a number that an entry cannot have: NaN, too large, no integer where things are counted, negative where it is a sum of
 * squares.
 *
 * @returns index of the first, and what was expected there
 */
export function findInvalidValue(
  values: ArrayLike<number>,
  entry: StatisticsEntry,
): { index: number; expected: string } | undefined {
  const { signed, type } = ENTRIES[entry];
  const most = LARGEST[type];
  const least = signed === true ? -most : 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value >= least && value <= most && (type === "F32" || Number.isInteger(value))) continue;
    const kind = type === "F32" ? "a number" : "a whole number";
    return { index, expected: signed === true ? `${kind}, finite` : `${kind} from 0 on, finite` };
  }
  return undefined;
}
