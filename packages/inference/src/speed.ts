import type { ForwardKernels } from "@quern/models";

/** Large enough for the speed that large matrices have, small enough to cost milliseconds. */
const SAMPLE = { rows: 256, columns: 512, outputs: 256 };

/** Calls of which the fastest counts: the first has to make room, and others may be interrupted. */
const CALLS = 5;

/** Of so many operations, how many a second. */
export function operationRate(operations: number, run: () => void): number {
  const times = Array.from({ length: CALLS }, () => {
    const started = performance.now();
    run();
    return performance.now() - started;
  });
  return operations / Math.max(Math.min(...times) / 1000, 1e-6);
}

/** Floating-point operations a second of linear layers on this machine, in one thread. */
export function linearRate({ math }: Pick<ForwardKernels, "math">): number {
  const { rows, columns, outputs } = SAMPLE;
  const a = Float32Array.from({ length: rows * columns }, (_, index) => Math.sin(index));
  const c = new Float32Array(rows * outputs);
  return operationRate(2 * rows * columns * outputs, () =>
    math.gemm({ m: rows, n: outputs, k: columns, a, b: a, transposeB: true, c }),
  );
}
