import { differencesOf } from "./differences.ts";
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
 * @param params.differences Weights less values, where they are known already. @default they are computed
 * @param params.signals Squared outputs, where they are known already. @default they are computed
 */
export function outputErrorsByRow(
  params: OutputErrorParams & {
    readonly inputs: Float32Array;
    readonly differences?: Float32Array | undefined;
    readonly signals?: Float64Array | undefined;
  },
): RowOutputErrors {
  const { matrix, values, inputs, math } = params;
  const { rows, columns } = matrix;
  const tokens = inputs.length / columns;
  const outputs = new Float32Array(rows * tokens);
  const energies = (a: Float32Array): Float64Array => {
    math.gemm({ m: rows, n: tokens, k: columns, a, b: inputs, transposeB: true, c: outputs });
    return math.rowProducts({ rows, columns: tokens, a: outputs, b: outputs });
  };
  const { differences = differencesOf(matrix, values, math) } = params;
  return { errors: energies(differences), signals: params.signals ?? energies(matrix.values) };
}
