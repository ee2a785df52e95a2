import type { Parameters } from "../grids/grid.ts";
import { spans, type Span } from "../hessian/spans.ts";
import type { RefinementState } from "./refine.ts";

/**
 * Fits the parameters of the tiles in some columns once more, one after another, with codes and other parameters as they are: least
 * squares in H. Where rounding to what can be stored would make the error larger, a parameter stays.
 *
 * @param gradients rows x columns of the span: of `errors * H`, which they stay.
 */
export function refitParameters(state: RefinementState, span: Span, gradients: Float32Array): void {
  const { rows } = state.matrix;
  const { unit, parameterCount } = state.rounded.grid;
  const move = parameterMover(state.rounded.grid);
  const stride = span.end - span.start;
  for (const tile of spans(span.end, unit.columns, span.start)) {
    const width = tile.end - tile.start;
    for (let parameter = 0; parameter < parameterCount; parameter++) {
      const factors = factorsOf(state, tile, parameter);
      const products = productsWith(state, tile, factors);
      for (let first = 0; first < rows; first += unit.rows) {
        let linear = 0;
        let quadratic = 0;
        for (let row = first; row < Math.min(first + unit.rows, rows); row++) {
          const gradient = row * stride + tile.start - span.start;
          for (let i = 0, at = row * width; i < width; i++, at++) {
            linear += factors[at]! * gradients[gradient + i]!;
            quadratic += factors[at]! * products[at]!;
          }
        }
        if (quadratic > 0) move({ row: first, column: tile.start, parameter, linear, quadratic });
      }
      addProduct(state, { tile, span, changes: updateErrors(state, tile), gradients });
    }
  }
}

interface AddProductParams {
  readonly tile: Span;
  readonly span: Span;
  /** Of the errors of the tile. */
  readonly changes: Float32Array;
  readonly gradients: Float32Array;
}

/** Lets gradients follow the errors of a tile. */
function addProduct(
  { matrix: { rows, columns }, hessian, math }: RefinementState,
  { tile, span, changes, gradients }: AddProductParams,
): void {
  math.gemm({
    m: rows,
    n: span.end - span.start,
    k: tile.end - tile.start,
    a: changes,
    b: hessian.subarray(tile.start * columns + span.start),
    bStride: columns,
    c: gradients,
    accumulate: true,
  });
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
function parameterMover(parameters: Parameters): (params: MoveParams) => void {
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
    if (parameter === 0 && !(wanted[0]! * old[0]! > 0)) return;
    parameters.writeParameters(row, column, wanted);
    parameters.readParameters(row, column, stored);
    const change = stored[parameter]! - old[parameter]!;
    if (!(change * (change * quadratic - 2 * linear) < 0)) parameters.writeParameters(row, column, old);
  };
}

/** Values and errors of a tile by the parameters as they have become. @returns by how much errors have changed */
function updateErrors(
  { matrix, rounded, errors, math }: RefinementState,
  { start, end }: Span,
): Float32Array {
  const { rows, columns, values: weights } = matrix;
  const { grid, codes, values } = rounded;
  const { tileCodes } = grid;
  const changes = new Float32Array(rows * (end - start));
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
  } else {
    for (let row = 0; row < rows; row++) {
      for (let column = start; column < end; column++) {
        const i = row * columns + column;
        values[i] = grid.decode(row, column, codes[i]!);
      }
    }
  }
  for (let row = 0, change = 0; row < rows; row++) {
    const rowEnd = row * columns + end;
    for (let i = row * columns + start; i < rowEnd; i++, change++) {
      const error = Math.fround(weights[i]! - values[i]!);
      changes[change] = error - errors[i]!;
      errors[i] = error;
    }
  }
  return changes;
}
