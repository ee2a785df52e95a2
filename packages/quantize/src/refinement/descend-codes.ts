import { spans } from "../hessian/spans.ts";
import { gradientOf, type RefinementState } from "./refine.ts";

const BLOCK = 128;

/**
 * One pass of coordinate descent over all columns: with all other codes as they are, a weight's best value is its value plus its part of
 * `errors * H` over H_jj, and its best code the nearest to that.
 */
export function descendCodes(state: RefinementState): void {
  const { matrix, rounded, hessian, errors } = state;
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  for (const span of spans(columns, BLOCK)) {
    const gradients = gradientOf(state, span);
    const width = span.end - span.start;
    for (let row = 0; row < rows; row++) {
      const gradient = gradients.subarray(row * width, (row + 1) * width);
      for (let column = span.start; column < span.end; column++) {
        const i = row * columns + column;
        const old = values[i]!;
        const target = old + gradient[column - span.start]! / hessian[column * (columns + 1)]!;
        const code = grid.encode(row, column, target);
        if (code === codes[i]) continue;
        const value = grid.decode(row, column, code);
        if (!(Math.abs(target - value) < Math.abs(target - old))) continue;
        codes[i] = code;
        values[i] = value;
        errors[i] = weights[i]! - value;
        const change = old - value;
        const at = column * columns + span.start;
        for (let j = 0; j < width; j++) gradient[j]! += change * hessian[at + j]!;
      }
    }
  }
}
