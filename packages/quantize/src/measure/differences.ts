import type { MathKernels } from "@quern/kernels";
import type { Matrix } from "../matrix.ts";

/** Weights less what stands for them. */
export function differencesOf(
  { rows, columns, values }: Matrix,
  others: Float32Array,
  math: MathKernels,
): Float32Array {
  const c = new Float32Array(rows * columns);
  math.updateDifferences({ rows, columns, a: values, b: others, c });
  return c;
}
