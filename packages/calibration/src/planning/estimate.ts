import { availableParallelism } from "node:os";
import type { LinearInputs } from "@quern/models";
import type { Kernels } from "@quern/kernels";

/** Floating-point operations of a run. */
export interface Operations {
  /** Of the linear layers. */
  readonly linear: number;
  /** Of X^T X, lower triangles. */
  readonly hessians: number;
}

/** Operations for each token of the Hessians of some inputs. */
export function hessianOperations(inputs: readonly LinearInputs[]): number {
  return inputs.reduce((sum, { columns, rowsPerToken }) => sum + rowsPerToken * columns * columns, 0);
}

/** Large enough for the speed that large matrices have, small enough to cost milliseconds. */
const SAMPLE = { tokens: 256, columns: 512, outputs: 256 };

/**
 * Estimates how long a run takes, by the speed of the kernels of this machine with a sample. Attention and what is done element by
 * element are not counted.
 *
 * @returns seconds
 */
export function estimateSeconds(params: {
  readonly kernels: Pick<Kernels, "math">;
  readonly operations: Operations;
  readonly threads: number;
}): number {
  const { kernels, operations, threads } = params;
  const { tokens, columns, outputs } = SAMPLE;
  const x = Float32Array.from({ length: tokens * columns }, (_, index) => Math.sin(index));
  const linear = rate(2 * tokens * columns * outputs, () =>
    kernels.math.gemm({
      m: tokens,
      n: outputs,
      k: columns,
      a: x,
      b: x,
      transposeB: true,
      c: new Float32Array(tokens * outputs),
    }),
  );
  const h = new Float64Array(columns * columns);
  const hessians = rate(tokens * columns * columns, () => kernels.math.syrk({ x, tokens, n: columns, h }));
  const cores = Math.min(Math.max(threads, 1), availableParallelism());
  return (operations.linear / linear + operations.hessians / hessians) / cores;
}

/** Calls of which the fastest counts: the first has to make room, and others may be interrupted. */
const CALLS = 5;

/** Operations a second. */
function rate(operations: number, run: () => void): number {
  const times = Array.from({ length: CALLS }, () => {
    const started = performance.now();
    run();
    return performance.now() - started;
  });
  return operations / Math.max(Math.min(...times) / 1000, 1e-6);
}
