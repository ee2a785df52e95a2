import { wholeRange, type Calibrator } from "./calibrator.ts";

/** From the smallest to the largest value: nothing is clipped. */
export function minMax(): Calibrator {
  return {
    name: "min-max",
    fewestValues: 1,
    range: ({ batches }) => wholeRange(batches),
    search: { shares: [1], norm: 2 },
  };
}
