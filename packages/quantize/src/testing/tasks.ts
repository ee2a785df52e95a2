import { loadKernels } from "@quern/kernels";
import type { MathKernels } from "@quern/kernels";
import type { Hessian } from "../hessian/hessian.ts";
import type { Matrix } from "../matrix.ts";
import { correlatedInputs, gaussian, gram } from "./random.ts";

export interface LayerUnderTest {
  readonly matrix: Matrix;
  readonly hessian: Hessian;
  /** Rows of inputs that the Hessian does not know. */
  readonly heldOut: Float32Array;
  readonly math: MathKernels;
}

/** A layer with inputs that go together. */
export async function layerUnderTest(
  rows: number,
  columns: number,
  { seed = 1, tokens = 4 * columns }: { readonly seed?: number; readonly tokens?: number } = {},
): Promise<LayerUnderTest> {
  const inputs = correlatedInputs(tokens + 2 * columns, columns, seed);
  const { math } = await loadKernels();
  return {
    matrix: { rows, columns, values: gaussian(rows * columns, seed + 7) },
    hessian: { matrix: gram(inputs.subarray(0, tokens * columns), columns), tokens },
    heldOut: inputs.subarray(tokens * columns),
    math,
  };
}
