import type { Code, TileParameters } from "../codes/code.ts";
import { power } from "./power.ts";

/** Elements whose errors are summed in F32; such sums are added in F64. */
const SUMMED = 256;

const { fround } = Math;

export interface TileErrorParams {
  /** Row by row. */
  readonly values: Float32Array;
  /** Columns of the tile. */
  readonly width: number;
  readonly code: Code;
  readonly parameters: TileParameters;
}

function errorOf(value: number, code: Code, { scale, shift }: TileParameters): number {
  return fround(value - code.decode(code.encode(value, scale, shift), scale, shift));
}

/** Adds up elements of rows: F32 over `SUMMED` columns of a row, then F64. */
function sumOfRows(count: number, width: number, term: (i: number, column: number) => number): number {
  let total = 0;
  for (let first = 0; first < count; first += width) {
    for (let start = 0; start < width; start += SUMMED) {
      const end = Math.min(start + SUMMED, width);
      let sum = 0;
      for (let column = start; column < end; column++) sum = fround(sum + term(first + column, column));
      total += sum;
    }
  }
  return total;
}

/** Sum of importance * |error|^norm; importance is by column. */
export function tileError(
  params: TileErrorParams & { readonly importance: Float32Array | undefined; readonly norm: number },
): number {
  const { values, width, code, parameters, importance, norm } = params;
  return sumOfRows(values.length, width, (i, column) => {
    const error = errorOf(values[i]!, code, parameters);
    const cost = norm === 2 ? fround(error * error) : power(Math.abs(error), norm);
    return importance ? fround(cost * importance[column]!) : cost;
  });
}

/** Sum over rows of `e H e^T`; `hessian` is width x stride, F32. */
export function tileErrorInHessian(
  params: TileErrorParams & { readonly hessian: Float32Array; readonly stride: number },
): number {
  const { values, width, code, parameters, hessian, stride } = params;
  const errors = new Float32Array(width);
  return sumOfRows(values.length, width, (i, column) => {
    const at = column * stride;
    const error = errorOf(values[i]!, code, parameters);
    let product = fround(error * fround(0.5 * hessian[at + column]!));
    for (let j = 0; j < column; j++) product = fround(product + fround(errors[j]! * hessian[at + j]!));
    errors[column] = error;
    return fround(fround(product * error) * 2);
  });
}
