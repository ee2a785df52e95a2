import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";
import { bytesArray } from "./tile-codes.ts";

/** All rows of some columns of matrices. Strides are elements from row to row. */
interface PartParams {
  readonly rows: number;
  readonly columns: number;
}

export interface RowProductsParams extends PartParams {
  readonly a: Float32Array;
  /** @default columns */
  readonly aStride?: number | undefined;
  /** May be `a`. */
  readonly b: Float32Array;
  /** @default columns */
  readonly bStride?: number | undefined;
}

export interface AddScaledRowsParams extends PartParams {
  readonly x: Float32Array;
  /** @default columns */
  readonly xStride?: number | undefined;
  readonly y: Float32Array;
  /** @default columns */
  readonly yStride?: number | undefined;
  /** One per row; rows with 0 stay as they are. */
  readonly alphas: Float32Array;
}

export interface UpdateDifferencesParams extends PartParams {
  readonly a: Float32Array;
  readonly b: Float32Array;
  /** Becomes `a - b`. */
  readonly c: Float32Array;
  /** Of `a`, `b` and `c`. @default columns */
  readonly stride?: number | undefined;
  /** rows x columns: becomes what is added to `c`. @default not wanted */
  readonly changes?: Float32Array | undefined;
}

export interface GatherColumnsParams<
  T extends Float32Array | Uint8Array = Float32Array | Uint8Array,
> extends PartParams {
  /** rows x columns */
  readonly x: T;
  /** rows x columns; column `order[j]` of `x` becomes its column j. */
  readonly y: T;
  readonly order: Int32Array;
}

export function rowProducts(backend: MathBackend, params: RowProductsParams): Float64Array {
  const { rows, columns, a, aStride = columns, b, bStride = columns } = params;
  checkCounts({ rows, columns });
  const sums = new Float64Array(rows);
  backend.run({
    operation: "rowProducts",
    numbers: [rows, columns, aStride, bStride],
    arrays: [
      floats("a", a, "read", params, aStride),
      floats("b", b, "read", params, bStride),
      matrix({ name: "sums", kind: "F64", data: sums, access: "write", rows: 1, columns: rows }),
    ],
  });
  return sums;
}

export function addScaledRows(backend: MathBackend, params: AddScaledRowsParams): void {
  const { rows, columns, x, xStride = columns, y, yStride = columns, alphas } = params;
  checkCounts({ rows, columns });
  backend.run({
    operation: "addScaledRows",
    numbers: [rows, columns, xStride, yStride],
    arrays: [
      floats("x", x, "read", params, xStride),
      floats("y", y, "update", params, yStride),
      floats("alphas", alphas, "read", { rows: 1, columns: rows }, rows),
    ],
  });
}

export function updateDifferences(backend: MathBackend, params: UpdateDifferencesParams): void {
  const { rows, columns, a, b, c, stride = columns, changes } = params;
  checkCounts({ rows, columns });
  backend.run({
    operation: "updateDifferences",
    numbers: [rows, columns, stride, stride, stride, columns],
    arrays: [
      floats("a", a, "read", params, stride),
      floats("b", b, "read", params, stride),
      floats("c", c, "update", params, stride),
      changes && floats("changes", changes, "write", params, columns),
    ],
  });
}

export function gatherColumns(backend: MathBackend, params: GatherColumnsParams): void {
  const { rows, columns, x, y, order } = params;
  checkCounts({ rows, columns });
  if (order.length < columns || order.some((column) => !(column >= 0 && column < columns))) {
    throw argumentError(`the order must name a column from 0 to ${columns - 1} for each of ${columns}`);
  }
  const kind = x instanceof Float32Array ? "F32" : "U8";
  const places = new Uint8Array(order.buffer, order.byteOffset, 4 * columns);
  backend.run({
    operation: "gatherColumns",
    numbers: [rows, columns, columns, columns, x.BYTES_PER_ELEMENT],
    arrays: [
      matrix({ name: "x", kind, data: x, access: "read", rows, columns }),
      matrix({ name: "y", kind, data: y, access: "write", rows, columns }),
      bytesArray("order", places, "read", 1, 4 * columns),
    ],
  });
}

function floats(
  name: string,
  data: Float32Array,
  access: MathArray["access"],
  { rows, columns }: PartParams,
  stride: number,
): MathArray {
  return matrix({ name, kind: "F32", data, access, rows, columns, stride });
}
