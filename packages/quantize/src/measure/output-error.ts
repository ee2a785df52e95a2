import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Matrix } from "../matrix.ts";
import { differencesOf } from "./differences.ts";
import { outputErrorsByRow } from "./output-errors-by-row.ts";

export interface OutputErrorParams {
  readonly matrix: Matrix;
  /** What stands for the matrix: rows x columns. */
  readonly values: Float32Array;
  readonly math: MathKernels;
}

/** What a layer's outputs lose: the squared error over the squared outputs. */
export interface OutputError {
  readonly error: number;
  readonly signal: number;
  /** error / signal; 0 where neither is there. */
  readonly relative: number;
}

/**
 * tr(D H D^T) / tr(W H W^T), D = W - V: over all inputs that H sums up.
 *
 * @throws QuernError `QUANTIZE_SHAPE`
 */
export function outputError(params: OutputErrorParams & { readonly hessian: Float64Array }): OutputError {
  const { matrix, values, hessian, math } = params;
  checkValues(matrix, values);
  const h = Float32Array.from(hessian);
  return shareOf(
    trace(differencesOf(matrix, values, math), h, matrix, math),
    trace(matrix.values, h, matrix, math),
  );
}

/**
 * |X D^T|^2 / |X W^T|^2 with rows of inputs themselves, such as those held out of calibration.
 *
 * @throws QuernError `QUANTIZE_SHAPE`
 */
export function outputErrorOn(
  params: OutputErrorParams & {
    /** Row-major, of the matrix's columns each. */
    readonly inputs: Float32Array;
  },
): OutputError {
  const { matrix, values, inputs, math } = params;
  checkValues(matrix, values);
  if (inputs.length === 0 || inputs.length % matrix.columns !== 0) {
    throw new QuernError(
      "QUANTIZE_SHAPE",
      `rows of ${matrix.columns} inputs were expected, but there are ${inputs.length} numbers`,
    );
  }
  const { errors, signals } = outputErrorsByRow({ matrix, values, inputs, math });
  return shareOf(sumOf(errors), sumOf(signals));
}

function shareOf(error: number, signal: number): OutputError {
  return { error, signal, relative: error === 0 ? 0 : error / signal };
}

/** tr(A H A^T) */
function trace(a: Float32Array, h: Float32Array, { rows, columns }: Matrix, math: MathKernels): number {
  const product = new Float32Array(rows * columns);
  math.gemm({ m: rows, n: columns, k: columns, a, b: h, c: product });
  return Math.max(sumOf(math.rowProducts({ rows, columns, a: product, b: a })), 0);
}

function sumOf(numbers: Float64Array): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function checkValues({ rows, columns }: Matrix, values: Float32Array): void {
  if (values.length !== rows * columns) {
    throw new QuernError(
      "QUANTIZE_SHAPE",
      `${rows} x ${columns} values were expected, but there are ${values.length}`,
    );
  }
}
