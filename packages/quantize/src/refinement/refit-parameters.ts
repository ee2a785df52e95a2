import { spans, type Span } from "../hessian/spans.ts";
import { gradientOf, type RefinementState } from "./refine.ts";

/**
 * Fits the parameters of every tile once more, one after another, with codes and other parameters as they are: least squares in H. Where
 * rounding to what can be stored would make the error larger, a parameter stays.
 */
export function refitParameters(state: RefinementState): void {
  const { rows, columns } = state.matrix;
  const { unit, parameterCount } = state.rounded.grid;
  const move = parameterMover(state);
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
        if (quadratic > 0) move({ row, column: span.start, parameter, linear, quadratic });
      }
      decodeSpan(state, span);
    }
  }
}

/** rows x width: what the parameter is multiplied with. */
function factorsOf(
  { matrix, rounded, math }: RefinementState,
  { start, end }: Span,
  parameter: number,
): Float32Array {
  const { rows, columns } = matrix;
  const { grid, codes } = rounded;
  const width = end - start;
  const result = new Float32Array(rows * width);
  if (grid.tileCodes && grid.factorCodes) {
    math.decodeTiles({
      rows,
      columns: width,
      totalColumns: columns,
      firstColumn: start,
      tileCodes: grid.factorCodes(parameter),
      codes: codes.subarray(start),
      codeStride: columns,
      values: result,
    });
    return result;
  }
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

interface MoveParams {
  /** Where the unit begins. */
  readonly row: number;
  readonly column: number;
  readonly parameter: number;
  /** Half of how fast the error falls as the parameter grows. */
  readonly linear: number;
  readonly quadratic: number;
}

/** Moves a parameter of a unit to its best value, if what can be stored of it makes the error smaller. */
function parameterMover({ rounded: { grid } }: RefinementState): (params: MoveParams) => void {
  const [old, wanted, stored] = [0, 0, 0].map(() => new Float64Array(grid.parameterCount)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  return ({ row, column, parameter, linear, quadratic }) => {
    grid.readParameters(row, column, old);
    wanted.set(old);
    wanted[parameter]! += linear / quadratic;
    // Scales of other signs would turn the order of codes around.
    if (parameter === 0 && !(wanted[0]! > 0)) return;
    grid.writeParameters(row, column, wanted);
    grid.readParameters(row, column, stored);
    const change = stored[parameter]! - old[parameter]!;
    if (!(change * (change * quadratic - 2 * linear) < 0)) grid.writeParameters(row, column, old);
  };
}

/** Values and errors by the parameters as they have become. */
function decodeSpan({ matrix, rounded, errors, math }: RefinementState, { start, end }: Span): void {
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const { tileCodes } = grid;
  if (tileCodes) {
    math.decodeTiles({
      rows,
      columns: end - start,
      totalColumns: columns,
      firstColumn: start,
      tileCodes,
      codes: codes.subarray(start),
      codeStride: columns,
      values: values.subarray(start),
      valueStride: columns,
    });
  }
  for (let row = 0; row < rows; row++) {
    for (let i = row * columns + start; i < row * columns + end; i++) {
      if (!tileCodes) values[i] = grid.decode(row, i - row * columns, codes[i]!);
      errors[i] = weights[i]! - values[i]!;
    }
  }
}
