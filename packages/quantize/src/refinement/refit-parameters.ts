import { spans, type Span } from "../hessian/spans.ts";
import { gradientOf, type RefinementState } from "./refine.ts";

/**
 * Fits the parameters of every tile once more, one after another, with codes and other parameters as they are: least squares in H. Where
 * rounding to what can be stored would make the error larger, a parameter stays.
 */
export function refitParameters(state: RefinementState): void {
  const { rows, columns } = state.matrix;
  const { unit, parameterCount } = state.rounded.grid;
  for (const span of spans(columns, unit.columns)) {
    for (let parameter = 0; parameter < parameterCount; parameter++) {
      const gradients = gradientOf(state, span);
      const factors = factorsOf(state, span, parameter);
      const products = productsWith(state, span, factors);
      const width = span.end - span.start;
      for (let row = 0; row < rows; row += unit.rows) {
        const end = Math.min(row + unit.rows, rows) * width;
        let linear = 0;
        let quadratic = 0;
        for (let i = row * width; i < end; i++) {
          linear += factors[i]! * gradients[i]!;
          quadratic += factors[i]! * products[i]!;
        }
        if (quadratic > 0) moveParameter({ state, span, row, parameter, linear, quadratic });
      }
    }
  }
}

/** rows x width: what the parameter is multiplied with. */
function factorsOf(
  { matrix, rounded }: RefinementState,
  { start, end }: Span,
  parameter: number,
): Float32Array {
  const { rows, columns } = matrix;
  const { grid, codes } = rounded;
  const width = end - start;
  const result = new Float32Array(rows * width);
  const factors = new Float64Array(grid.parameterCount);
  for (let row = 0; row < rows; row++) {
    for (let column = start; column < end; column++) {
      grid.factors(row, column, codes[row * columns + column]!, factors);
      result[row * width + column - start] = factors[parameter]!;
    }
  }
  return result;
}

/** factors * H, with the block of H that belongs to the columns. */
function productsWith(
  { matrix, hessian, math }: RefinementState,
  { start, end }: Span,
  a: Float32Array,
): Float32Array {
  const { rows, columns } = matrix;
  const width = end - start;
  const c = new Float32Array(rows * width);
  const b = hessian.subarray(start * columns + start);
  math.gemm({ m: rows, n: width, k: width, a, b, bStride: columns, c });
  return c;
}

interface MoveParameterParams {
  readonly state: RefinementState;
  readonly span: Span;
  readonly row: number;
  readonly parameter: number;
  /** Half of how fast the error falls as the parameter grows. */
  readonly linear: number;
  readonly quadratic: number;
}

function moveParameter({ state, span, row, parameter, linear, quadratic }: MoveParameterParams): void {
  const { matrix, rounded, errors } = state;
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const old = new Float64Array(grid.parameterCount);
  grid.readParameters(row, span.start, old);
  const wanted = old.slice();
  wanted[parameter]! += linear / quadratic;
  // Scales of other signs would turn the order of codes around.
  if (parameter === 0 && !(wanted[0]! * old[0]! > 0)) return;
  grid.writeParameters(row, span.start, wanted);
  const stored = new Float64Array(grid.parameterCount);
  grid.readParameters(row, span.start, stored);
  const change = stored[parameter]! - old[parameter]!;
  if (!(change * (change * quadratic - 2 * linear) < 0)) {
    grid.writeParameters(row, span.start, old);
    return;
  }
  for (let r = row; r < Math.min(row + grid.unit.rows, rows); r++) {
    for (let column = span.start; column < span.end; column++) {
      const i = r * columns + column;
      values[i] = grid.decode(r, column, codes[i]!);
      errors[i] = weights[i]! - values[i];
    }
  }
}
