import { availableParallelism } from "node:os";
import type { ForwardKernels } from "@quern/models";
import { compareLogits } from "../measures/score-logits.ts";

/** Large enough for the speed that large matrices have, small enough to cost milliseconds. */
const SAMPLE = { rows: 256, columns: 512, outputs: 256, vocabulary: 16_384 };

/**
 * Estimates how long an evaluation takes, by the speed of this machine with a sample. Attention and what is done element by element
 * are not counted.
 *
 * @param params.operations Floating-point operations of linear layers.
 * @param params.logits Logits that are reduced to figures, of all models.
 */
export function estimateSeconds(params: {
  readonly kernels: Pick<ForwardKernels, "math">;
  readonly operations: number;
  readonly logits: number;
  readonly threads: number;
}): number {
  const { kernels, operations, logits, threads } = params;
  const { rows, columns, outputs, vocabulary } = SAMPLE;
  const x = Float32Array.from({ length: rows * columns }, (_, index) => Math.sin(index));
  const c = new Float32Array(rows * outputs);
  const linear = rate(2 * rows * columns * outputs, () =>
    kernels.math.gemm({ m: rows, n: outputs, k: columns, a: x, b: x, transposeB: true, c }),
  );
  const scoring = rate(2 * vocabulary, () =>
    compareLogits(x.subarray(0, vocabulary), x.subarray(vocabulary, 2 * vocabulary)),
  );
  const cores = Math.min(Math.max(threads, 1), availableParallelism());
  return (operations / linear + logits / scoring) / cores;
}

const SAMPLES = 4;

/** Of so many operations, how many a second at best: other work of the machine, and making room at first, only slow a sample down. */
function rate(operations: number, run: () => void): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const started = performance.now();
    run();
    shortest = Math.min(shortest, performance.now() - started);
  }
  return operations / Math.max(shortest / 1000, 1e-6);
}
