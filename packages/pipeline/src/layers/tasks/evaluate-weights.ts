import { type OpenReader, readWeights, type Weights } from "./weights.ts";

/** Puts all of a matrix into shared memory, where its rows cannot be had one without the others. */
export interface EvaluateTask {
  readonly kind: "evaluate";
  readonly weights: Weights;
  /** rows x columns */
  readonly into: Float32Array;
}

export async function evaluateWeights({ weights, into }: EvaluateTask, open: OpenReader): Promise<undefined> {
  into.set(await readWeights(weights, { firstRow: 0, rows: weights.rows }, open));
}
