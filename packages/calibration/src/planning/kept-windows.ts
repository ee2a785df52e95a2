import type { ModelWindow } from "@quern/inference";
import type { KeptWindows } from "@quern/statistics";
import { QuernError } from "@quern/tensor";

/**
 * The first windows of those that are kept apart, as one after another.
 *
 * @returns undefined for none
 * @throws QuernError `CALIBRATION_KEEP_WINDOWS` for more than there are
 */
export function keptWindows(held: readonly ModelWindow[], count: number): KeptWindows | undefined {
  if (count > held.length) {
    throw new QuernError(
      "CALIBRATION_KEEP_WINDOWS",
      `${count} windows cannot be kept whole: ${held.length} are kept apart; expected more tokens, or fewer windows`,
      { subject: { key: "keepWindows" } },
    );
  }
  if (count === 0) return undefined;
  let rows = 0;
  const starts = held.slice(0, count).flatMap((window) => {
    const first = rows;
    rows += window.tokens.length;
    return window.starts.map((start) => first + start);
  });
  return { rows, starts };
}
