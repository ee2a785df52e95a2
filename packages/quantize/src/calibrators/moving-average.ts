import { QuernError } from "@quern/tensor";
import { rangeOf, type Calibrator } from "./calibrator.ts";

/** Exponential moving average of the ranges of batches: `momentum` of what was, the rest of the new one. The first one counts whole. */
export function movingAverage({ momentum = 0.9 }: { readonly momentum?: number } = {}): Calibrator {
  if (!(momentum >= 0 && momentum < 1)) {
    throw new QuernError("QUANTIZE_OPTION", `momentum must be from 0 to below 1, not ${momentum}`);
  }
  const blend = (old: number, next: number): number => momentum * old + (1 - momentum) * next;
  return {
    name: "moving-average",
    fewestValues: 1,
    range: ({ batches }) =>
      batches.map(rangeOf).reduce((old, next) => ({
        low: blend(old.low, next.low),
        high: blend(old.high, next.high),
      })),
  };
}
