import { wholeRange, type Calibrator } from "./calibrator.ts";

/** As far below 0 as above: the largest magnitude. */
export function absoluteMaximum(): Calibrator {
  return {
    name: "absolute-maximum",
    fewestValues: 1,
    range({ batches }) {
      const { low, high } = wholeRange(batches);
      const most = Math.max(-low, high, 0);
      return { low: -most, high: most };
    },
  };
}
