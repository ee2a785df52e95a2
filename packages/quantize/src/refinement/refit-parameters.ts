import type { Parameters } from "../grids/grid.ts";
import { spans, type Span } from "../hessian/spans.ts";
import type { RefinementState } from "./refine.ts";
import { updateErrors } from "./update-errors.ts";

/**
 * Fits the parameters of the tiles in some columns once more, one after another, with codes and other parameters as they are: least
 * squares in H. Where rounding to what can be stored would make the error larger, a parameter stays.
 *
 * @param gradients rows x columns of the span: of `errors * H`, which they stay.
 */
export function refitParameters(state: RefinementState, span: Span, gradients: Float32Array): void {
  const { matrix, rounded, hessian, math } = state;
  const { rows, columns } = matrix;
  const { unit, parameterCount } = rounded.grid;
  if (parameterCount === 0) return;
  const move = parameterMover(rounded.grid);
  const stride = span.end - span.start;
  const { products, factors } = state.room;
  const alphas = new Float32Array(rows);
  for (const tile of spans(span.end, unit.columns, span.start)) {
    const width = tile.end - tile.start;
    const at = tile.start - span.start;
    for (let parameter = 0; parameter < parameterCount; parameter++) {
      factorsOf(state, tile, parameter, factors);
      // What the gradients of the whole span lose for each unit by which the parameter grows.
      const b = hessian.subarray(tile.start * columns + span.start);
      math.gemm({ m: rows, n: stride, k: width, a: factors, b, bStride: columns, c: products });
      const part = { rows, columns: width, a: factors, bStride: stride };
      const linear = math.rowProducts({ ...part, b: gradients.subarray(at) });
      const quadratic = math.rowProducts({ ...part, b: products.subarray(at) });
      for (let row = 0; row < rows; row += unit.rows) {
        const end = Math.min(row + unit.rows, rows);
        const error = { linear: sumOf(linear, row, end), quadratic: sumOf(quadratic, row, end) };
        const change = error.quadratic > 0 ? move({ row, column: tile.start, parameter, ...error }) : 0;
        alphas.fill(-change, row, end);
      }
      math.addScaledRows({ rows, columns: stride, x: products, y: gradients, alphas });
    }
  }
  updateErrors(state, span);
}

function sumOf(numbers: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += numbers[i]!;
  return sum;
}

/** Writes what the parameter is multiplied with: rows x width. */
function factorsOf(
  { matrix, rounded, math }: RefinementState,
  { start, end }: Span,
  parameter: number,
  result: Float32Array,
): void {
  const { rows, columns } = matrix;
  const { grid, codes } = rounded;
  const width = end - start;
  if (grid.factorCodes) {
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
    return;
  }
  const factors = new Float64Array(grid.parameterCount);
  for (let row = 0; row < rows; row++) {
    for (let column = start; column < end; column++) {
      grid.factors(row, column, codes[row * columns + column]!, factors);
      result[row * width + column - start] = factors[parameter]!;
    }
  }
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

/**
 * Moves a parameter of a unit to its best value, if what can be stored of it makes the error smaller.
 *
 * @returns a function that says by how much
 */
function parameterMover(parameters: Parameters): (params: MoveParams) => number {
  const [old, wanted, stored] = [0, 0, 0].map(() => new Float64Array(parameters.parameterCount)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  return ({ row, column, parameter, linear, quadratic }) => {
    parameters.readParameters(row, column, old);
    wanted.set(old);
    wanted[parameter]! += linear / quadratic;
    // Scales of other signs would turn the order of codes around.
    if (parameter === 0 && !(wanted[0]! * old[0]! > 0)) return 0;
    parameters.writeParameters(row, column, wanted);
    parameters.readParameters(row, column, stored);
    const change = stored[parameter]! - old[parameter]!;
    if (change * (change * quadratic - 2 * linear) < 0) return change;
    parameters.writeParameters(row, column, old);
    return 0;
  };
}
