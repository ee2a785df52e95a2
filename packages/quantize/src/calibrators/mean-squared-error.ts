import { QuernError } from "@quern/tensor";
import { wholeRange, type Calibrator } from "./calibrator.ts";

export interface MeanSquaredErrorOptions {
  /** Parts into which the range is divided. @default 100 */
  readonly steps?: number;
  /** How far the range may shrink, below 1. @default 0.8 */
  readonly mostShrink?: number;
  /** Exponent of errors. @default 2.4 */
  readonly norm?: number;
}

/**
 * Of the whole range and that range shrunk by 1 / steps, 2 / steps, ... the one with the least error. Defaults are those of GPTQ's search
 * (IST-DASLab/gptq, quant.py), which prefers errors that are all alike; activations are better served with norm 2.
 */
export function meanSquaredError(options: MeanSquaredErrorOptions = {}): Calibrator {
  const { steps = 100, mostShrink = 0.8, norm = 2.4 } = options;
  if (!(Number.isInteger(steps) && steps >= 1 && mostShrink >= 0 && mostShrink < 1 && norm > 0)) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      `the search for a range needs steps from 1 on, a shrinkage from 0 to below 1 and a positive norm, not ${steps}, ${mostShrink} and ${norm}`,
    );
  }
  const count = 1 + Math.floor(mostShrink * steps + 1e-9);
  const shares = Array.from({ length: count }, (_, step) => 1 - step / steps);
  return {
    name: "mean-squared-error",
    fewestValues: 1,
    search: { shares, norm },
    range({ batches, error }) {
      const whole = wholeRange(batches);
      let best = whole;
      let least = Infinity;
      for (const share of shares) {
        const range = { low: whole.low * share, high: whole.high * share };
        const found = error(range, norm);
        if (found < least) {
          least = found;
          best = range;
        }
      }
      return best;
    },
  };
}
