import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathBackend } from "./call.ts";

/**
 * `h` gets what `x` of some tokens adds to a range of rows of a Hessian, and holds these rows alone: divide it by rows, among workers
 * or by what there is memory for. Lower rows hold more elements.
 */
export interface GramParams {
  /** tokens x n */
  readonly x: Float32Array;
  /** @default n */
  readonly xStride?: number | undefined;
  readonly tokens: number;
  readonly n: number;
  /** rows x n; of each row, the elements up to the diagonal of the whole matrix are updated. */
  readonly h: Float64Array;
  /** @default 0 */
  readonly firstRow?: number | undefined;
  /** @default all from `firstRow` on */
  readonly rows?: number | undefined;
}

export interface FactorParams {
  /** n x n */
  readonly matrix: Float64Array;
  readonly n: number;
}

export interface CholeskyParams extends FactorParams {
  /**
   * How exact the products are that nearly all of the work consists of. In F32, elements are rounded, sums over 256 of them are F32 and are added
   * in F64: twice as fast; a pivot of less than 2^-12 of what the diagonal was counts as one that is not positive. @default "F64"
   */
  readonly products?: "F64" | "F32" | undefined;
}

export interface SolveParams {
  /** n x n, lower triangular. */
  readonly factor: Float64Array;
  readonly n: number;
  /** n x columns */
  readonly b: Float64Array;
  readonly columns: number;
}

export function syrk(backend: MathBackend, params: GramParams): void {
  const { x, tokens, n, xStride = n, h, firstRow = 0 } = params;
  const { rows = n - firstRow } = params;
  checkCounts({ tokens, n, firstRow, rows });
  if (firstRow + rows > n) throw argumentError(`there are ${n} rows, not ${rows} from row ${firstRow} on`);
  const activations = matrix({
    name: "x",
    kind: "F32",
    data: x,
    access: "read",
    rows: tokens,
    columns: n,
    stride: xStride,
  });
  backend.run({
    operation: "syrk",
    numbers: [tokens, n, xStride, firstRow, rows],
    arrays: [activations, matrix({ name: "h", kind: "F64", data: h, access: "update", rows, columns: n })],
  });
}

/** Runs an operation on a square matrix. */
export function factorize(
  backend: MathBackend,
  operation: "mirror" | "cholesky" | "choleskyOfInverse" | "invert",
  { matrix: data, n, products = "F64" }: CholeskyParams,
): number | undefined {
  checkCounts({ n });
  const square = matrix({ name: "matrix", kind: "F64", data, access: "update", rows: n, columns: n });
  const bad = backend.run({ operation, numbers: [n, Number(products === "F32")], arrays: [square] });
  return bad < 0 ? undefined : bad;
}

export function solve(backend: MathBackend, { factor, n, b, columns }: SolveParams): void {
  checkCounts({ n, columns });
  const triangle = matrix({ name: "factor", kind: "F64", data: factor, access: "read", rows: n, columns: n });
  const sides = matrix({ name: "b", kind: "F64", data: b, access: "update", rows: n, columns });
  backend.run({ operation: "solve", numbers: [n, columns], arrays: [triangle, sides] });
}
