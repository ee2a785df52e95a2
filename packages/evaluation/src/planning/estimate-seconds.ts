import { availableParallelism } from "node:os";
import { linearRate, operationRate } from "@quern/inference";
import type { ForwardKernels } from "@quern/models";
import { compareLogits } from "../measures/score-logits.ts";

/** Logits of a sample: as many as a vocabulary has, and few enough to cost milliseconds. */
const SAMPLE = 16_384;

/**
 * Estimates how long an evaluation takes, by the speed of this machine with a sample; attention is taken to be as fast as linear layers.
 * What is done element by element is not counted.
 *
 * @param params.operations Floating-point operations of linear layers and attention.
 * @param params.logits Logits that are reduced to figures, of all models.
 */
export function estimateSeconds(params: {
  readonly kernels: Pick<ForwardKernels, "math">;
  readonly operations: number;
  readonly logits: number;
  readonly threads: number;
}): number {
  const { kernels, operations, logits, threads } = params;
  const x = Float32Array.from({ length: 2 * SAMPLE }, (_, index) => Math.sin(index));
  const scoring = operationRate(2 * SAMPLE, () => compareLogits(x.subarray(0, SAMPLE), x.subarray(SAMPLE)));
  const cores = Math.min(Math.max(threads, 1), availableParallelism());
  return (operations / linearRate(kernels) + logits / scoring) / cores;
}
