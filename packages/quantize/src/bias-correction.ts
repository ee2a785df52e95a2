import { QuernError } from "@quern/tensor";
import type { Matrix } from "./matrix.ts";

export interface BiasCorrectionParams {
  readonly matrix: Matrix;
  /** What stands for the matrix: rows x columns. */
  readonly values: Float32Array;
  /** Mean of each input. */
  readonly means: Float32Array;
  /** The layer's bias. @default zeros */
  readonly bias?: Float32Array;
}

/**
 * The bias with which outputs are right on average: bias + (W - V) mean(x) (Nagel et al. 2019, "Data-free quantization through weight
 * equalization and bias correction").
 *
 * @throws QuernError `QUANTIZE_SHAPE`
 */
export function correctBias({ matrix, values, means, bias }: BiasCorrectionParams): Float32Array {
  const { rows, columns } = matrix;
  if (values.length !== rows * columns || means.length !== columns || (bias && bias.length !== rows)) {
    throw new QuernError(
      "QUANTIZE_SHAPE",
      `values, means or bias do not fit a layer of ${rows} outputs and ${columns} inputs`,
    );
  }
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let column = 0, i = row * columns; column < columns; column++, i++) {
      sum += (matrix.values[i]! - values[i]!) * means[column]!;
    }
    return sum;
  });
}
