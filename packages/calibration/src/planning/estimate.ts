import { availableParallelism } from "node:os";
import { attentionOperations, linearRate, operationRate, type RunnableModel } from "@quern/inference";
import type { LinearInputs } from "@quern/models";
import type { Kernels } from "@quern/kernels";

/** Floating-point operations of a run. */
export interface Operations {
  /** Of the linear layers. */
  readonly linear: number;
  readonly attention: number;
  /** Of X^T X, lower triangles. */
  readonly hessians: number;
}

/** Operations for each token of the Hessians of some inputs. */
export function hessianOperations(inputs: readonly LinearInputs[]): number {
  return inputs.reduce((sum, { columns, rowsPerToken }) => sum + rowsPerToken * columns * columns, 0);
}

/** Operations of attention in each block, of all windows together. @param lengths Tokens of each window. */
export function attentionOfBlocks(model: RunnableModel, lengths: readonly number[]): number[] {
  // Windows are mostly as long as each other.
  const counts = new Map<number, number>();
  for (const length of lengths) counts.set(length, (counts.get(length) ?? 0) + 1);
  const sums = model.graph.blocks.map(() => 0);
  for (const [length, count] of counts) {
    for (const [block, operations] of attentionOperations(model, length).entries()) {
      sums[block]! += count * operations;
    }
  }
  return sums;
}

/** Large enough for the speed that large matrices have, small enough to cost milliseconds. */
const SAMPLE = { tokens: 256, columns: 512 };

/**
 * Estimates how long a run takes, by the speed of the kernels of this machine with a sample; attention is taken to be as fast as linear
 * layers. What is done element by element is not counted.
 *
 * @returns seconds
 */
export function estimateSeconds(params: {
  readonly kernels: Pick<Kernels, "math">;
  readonly operations: Operations;
  readonly threads: number;
}): number {
  const { kernels, operations, threads } = params;
  const { tokens, columns } = SAMPLE;
  const x = Float32Array.from({ length: tokens * columns }, (_, index) => Math.sin(index));
  const h = new Float64Array(columns * columns);
  const hessians = operationRate(tokens * columns * columns, () =>
    kernels.math.syrk({ x, tokens, n: columns, h }),
  );
  const cores = Math.min(Math.max(threads, 1), availableParallelism());
  const seconds = (operations.linear + operations.attention) / linearRate(kernels);
  return (seconds + operations.hessians / hessians) / cores;
}
