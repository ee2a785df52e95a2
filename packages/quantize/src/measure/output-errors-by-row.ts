import type { OutputErrorParams } from "./output-error.ts";

/** What each output of a layer loses: sums of squares over inputs. */
export interface RowOutputErrors {
  readonly errors: Float64Array;
  readonly signals: Float64Array;
}

/**
 * Squared errors and squared outputs by row of the matrix, with rows of inputs themselves. A row has the same figures whatever other rows it
 * is measured with: those who add them up in the order of rows get what the whole matrix gives.
 *
 * @param params.inputs Row-major, of the matrix's columns each.
 */
export function outputErrorsByRow(
  params: OutputErrorParams & { readonly inputs: Float32Array },
): RowOutputErrors {
  const { matrix, values, inputs, math } = params;
  const { rows, columns } = matrix;
  const tokens = inputs.length / columns;
  const outputs = new Float32Array(tokens * rows);
  const energies = (a: Float32Array): Float64Array => {
    math.gemm({ m: tokens, n: rows, k: columns, a: inputs, b: a, transposeB: true, c: outputs });
    const sums = new Float64Array(rows);
    for (let token = 0, i = 0; token < tokens; token++) {
      for (let row = 0; row < rows; row++, i++) sums[row]! += outputs[i]! * outputs[i]!;
    }
    return sums;
  };
  const differences = matrix.values.map((value, i) => value - values[i]!);
  return { errors: energies(differences), signals: energies(matrix.values) };
}
