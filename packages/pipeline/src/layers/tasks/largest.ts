import { type OpenReader, readWeights, type RowRange, type Weights } from "./weights.ts";

/** Finds the largest magnitude of some rows. */
export interface LargestTask extends RowRange {
  readonly kind: "largest";
  readonly weights: Weights;
}

export async function largest(task: LargestTask, open: OpenReader): Promise<number> {
  let most = 0;
  for (const value of await readWeights(task.weights, task, open)) most = Math.max(most, Math.abs(value));
  return most;
}
