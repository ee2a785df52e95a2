import type { Span } from "../hessian/spans.ts";
import type { RefinementState } from "./refine.ts";

/**
 * Coordinate descent over some columns: with all other codes as they are, a weight's best value is its value plus its part of
 * `errors * H` over H_jj, and its best code the nearest to that. Arithmetic is F32, operation by operation.
 *
 * @param gradients Of the columns; of no use afterwards.
 */
export function descendCodes(state: RefinementState, span: Span, gradients: Float32Array): void {
  const { matrix, rounded, hessian, errors, math } = state;
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const { start, end } = span;
  if (!grid.tileCodes) {
    descendOneByOne(state, span, gradients);
    return;
  }
  math.descendColumns({
    rows,
    columns: end - start,
    totalColumns: columns,
    firstColumn: start,
    tileCodes: grid.tileCodes,
    gradients,
    hessian: hessian.subarray(start * (columns + 1)),
    hessianStride: columns,
    stride: columns,
    weights: weights.subarray(start),
    values: values.subarray(start),
    errors: errors.subarray(start),
    codes: codes.subarray(start),
  });
}

const { fround } = Math;

function descendOneByOne(state: RefinementState, span: Span, gradients: Float32Array): void {
  const { matrix, rounded, hessian, errors } = state;
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const width = span.end - span.start;
  for (let row = 0; row < rows; row++) {
    const gradient = gradients.subarray(row * width, (row + 1) * width);
    for (let column = span.start; column < span.end; column++) {
      const i = row * columns + column;
      const old = values[i]!;
      const step = fround(gradient[column - span.start]! / hessian[column * (columns + 1)]!);
      const target = fround(old + step);
      const code = grid.encode(row, column, target);
      if (code === codes[i]) continue;
      const value = grid.decode(row, column, code);
      if (!(Math.abs(fround(target - value)) < Math.abs(fround(target - old)))) continue;
      codes[i] = code;
      values[i] = value;
      errors[i] = weights[i]! - value;
      const change = fround(old - value);
      const at = column * columns + span.start;
      for (let j = column + 1 - span.start; j < width; j++) gradient[j]! += fround(change * hessian[at + j]!);
    }
  }
}
