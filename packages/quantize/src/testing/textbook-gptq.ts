/** Gauss-Jordan inverse of a positive definite matrix. */
export function inverse(matrix: Float64Array, n: number): Float64Array {
  const a = matrix.slice();
  const result = new Float64Array(n * n);
  for (let i = 0; i < n; i++) result[i * (n + 1)] = 1;
  for (let pivot = 0; pivot < n; pivot++) {
    const scale = 1 / a[pivot * (n + 1)]!;
    for (let j = 0; j < n; j++) {
      a[pivot * n + j]! *= scale;
      result[pivot * n + j]! *= scale;
    }
    for (let i = 0; i < n; i++) {
      const factor = a[i * n + pivot]!;
      if (i === pivot || factor === 0) continue;
      for (let j = 0; j < n; j++) {
        a[i * n + j]! -= factor * a[pivot * n + j]!;
        result[i * n + j]! -= factor * result[pivot * n + j]!;
      }
    }
  }
  return result;
}

/** Upper triangular U with matrix = U^T U. */
function upperCholesky(matrix: Float64Array, n: number): Float64Array {
  const u = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let sum = matrix[i * n + j]!;
      for (let k = 0; k < i; k++) sum -= u[k * n + i]! * u[k * n + j]!;
      u[i * n + j] = i === j ? Math.sqrt(sum) : sum / u[i * (n + 1)]!;
    }
  }
  return u;
}

export interface TextbookParams {
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** Damped. */
  readonly hessian: Float64Array;
  /** Before a column is rounded: the weights as they are then. */
  readonly enter?: (column: number, weights: Float64Array) => void;
  readonly round: (row: number, column: number, value: number) => { code: number; value: number };
}

/** Algorithm 1 of Frantar et al. 2023 with a block of one column, in F64, with the inverse of the Hessian. */
export function textbookGptq(params: TextbookParams): Uint8Array {
  const { weights, rows, columns: n, hessian, enter, round } = params;
  const u = upperCholesky(inverse(hessian, n), n);
  const w = Float64Array.from(weights);
  const codes = new Uint8Array(rows * n);
  for (let i = 0; i < n; i++) {
    enter?.(i, w);
    for (let row = 0; row < rows; row++) {
      const { code, value } = round(row, i, w[row * n + i]!);
      codes[row * n + i] = code;
      const error = (w[row * n + i]! - value) / u[i * (n + 1)]!;
      for (let j = i; j < n; j++) w[row * n + j]! -= error * u[i * n + j]!;
    }
  }
  return codes;
}
