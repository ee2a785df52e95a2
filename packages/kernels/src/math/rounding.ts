import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";
import { bytesArray, tileArguments } from "./tile-codes.ts";
import type { TileCodes } from "./tile-codes.ts";

/** All rows of some columns of a matrix with tiles. Strides are elements from row to row. */
interface PartParams {
  readonly rows: number;
  /** Of the part. */
  readonly columns: number;
  /** Of the whole matrix. @default those of the part */
  readonly totalColumns?: number | undefined;
  /** Of the part, in the whole matrix. @default 0 */
  readonly firstColumn?: number | undefined;
  readonly tileCodes: TileCodes;
}

export interface EncodeTilesParams extends PartParams {
  /** rows x columns */
  readonly weights: Float32Array;
  /** @default columns */
  readonly weightStride?: number | undefined;
  readonly codes: Uint8Array;
  /** @default columns */
  readonly codeStride?: number | undefined;
  /** What the codes mean. @default not wanted */
  readonly values?: Float32Array | undefined;
  /** @default columns */
  readonly valueStride?: number | undefined;
}

export interface DecodeTilesParams extends PartParams {
  /** rows x columns */
  readonly codes: Uint8Array;
  /** @default columns */
  readonly codeStride?: number | undefined;
  readonly values: Float32Array;
  /** @default columns */
  readonly valueStride?: number | undefined;
}

export interface CompensateColumnsParams {
  readonly rows: number;
  /** Places that are rounded, one after another. */
  readonly columns: number;
  /** Of the whole matrix. */
  readonly totalColumns: number;
  /** The column at each place, which decides about its tile. */
  readonly order: Int32Array;
  /** @default weights stay what they have become, unrounded: only `values` and `errors` are written then */
  readonly tileCodes?: TileCodes | undefined;
  /** rows x columns, by place, as all others: what is rounded. */
  readonly targets: Float32Array;
  readonly targetStride: number;
  /** What errors are measured from. */
  readonly weights: Float32Array;
  readonly weightStride: number;
  /** Becomes weights less values; may be the same array as `targets`. */
  readonly errors: Float32Array;
  readonly errorStride: number;
  /** columns x columns: the error of place i times factor (i, j) is added to place j after it, one after another. */
  readonly factors: Float32Array;
  readonly factorStride: number;
  readonly codes?: Uint8Array | undefined;
  readonly codeStride?: number | undefined;
  readonly values?: Float32Array | undefined;
  readonly valueStride?: number | undefined;
}

export interface DescendColumnsParams extends PartParams {
  /** rows x columns: of `errors * H`. Of no use afterwards. */
  readonly gradients: Float32Array;
  /** columns x columns: the block of H that belongs to the columns. */
  readonly hessian: Float32Array;
  readonly hessianStride: number;
  /** Of the whole matrix, from the first column on. */
  readonly stride: number;
  readonly weights: Float32Array;
  readonly values: Float32Array;
  readonly errors: Float32Array;
  readonly codes: Uint8Array;
}

interface Part {
  readonly rows: number;
  readonly columns: number;
  readonly firstColumn: number;
  readonly totalColumns: number;
}

function partOf({ rows, columns, firstColumn = 0, totalColumns }: PartParams): Part {
  checkCounts({ rows, columns, firstColumn });
  const part = { rows, columns, firstColumn, totalColumns: totalColumns ?? firstColumn + columns };
  if (firstColumn + columns <= part.totalColumns) return part;
  throw argumentError(`there are ${totalColumns} columns, not ${columns} from column ${firstColumn} on`);
}

export function encodeTiles(backend: MathBackend, params: EncodeTilesParams): void {
  const part = partOf(params);
  const { rows, columns, firstColumn } = part;
  const { weights, weightStride = columns, codes, codeStride = columns, values } = params;
  const { valueStride = columns, tileCodes } = params;
  const tiles = tileArguments(tileCodes, part);
  const arrays = [
    floats("weights", weights, "read", part, weightStride),
    bytesArray("codes", codes, "write", rows, columns, codeStride),
    values && floats("values", values, "write", part, valueStride),
    ...tiles.arrays,
  ];
  const numbers = [rows, columns, firstColumn, weightStride, codeStride, valueStride, ...tiles.numbers];
  backend.run({ operation: "encodeTiles", numbers, arrays });
}

export function decodeTiles(backend: MathBackend, params: DecodeTilesParams): void {
  const part = partOf(params);
  const { rows, columns, firstColumn } = part;
  const { codes, codeStride = columns, values, valueStride = columns, tileCodes } = params;
  const tiles = tileArguments(tileCodes, part);
  const arrays = [
    bytesArray("codes", codes, "read", rows, columns, codeStride),
    floats("values", values, "write", part, valueStride),
    ...tiles.arrays,
  ];
  const numbers = [rows, columns, firstColumn, codeStride, valueStride, ...tiles.numbers];
  backend.run({ operation: "decodeTiles", numbers, arrays });
}

export function compensateColumns(backend: MathBackend, params: CompensateColumnsParams): void {
  const { rows, columns, totalColumns, order, tileCodes, targets, targetStride, weights, weightStride } =
    params;
  const { errors, errorStride, factors, factorStride, codes, values } = params;
  const { codeStride = columns, valueStride = columns } = params;
  checkCounts({ rows, columns, totalColumns });
  if (order.length < columns || order.some((column) => !(column >= 0 && column < totalColumns))) {
    throw argumentError(
      `the order must name a column from 0 to ${totalColumns - 1} for each of ${columns} places`,
    );
  }
  const part = { rows, columns };
  const tiles = tileArguments(tileCodes, { rows, totalColumns });
  const places = new Uint8Array(order.buffer, order.byteOffset, 4 * columns);
  const arrays = [
    floats("targets", targets, "read", part, targetStride),
    floats("weights", weights, "read", part, weightStride),
    floats("errors", errors, "write", part, errorStride),
    floats("factors", factors, "read", { rows: columns, columns }, factorStride),
    codes && bytesArray("codes", codes, "write", rows, columns, codeStride),
    values && floats("values", values, "write", part, valueStride),
    bytesArray("order", places, "read", 1, 4 * columns),
    ...tiles.arrays,
  ];
  const strides = [targetStride, weightStride, errorStride, factorStride, codeStride, valueStride];
  const numbers = [rows, columns, ...strides, ...tiles.numbers];
  backend.run({ operation: "compensateColumns", numbers, arrays });
}

export function descendColumns(backend: MathBackend, params: DescendColumnsParams): void {
  const part = partOf(params);
  const { rows, columns, firstColumn } = part;
  const { gradients, hessian, hessianStride, stride, weights, values, errors, codes, tileCodes } = params;
  const tiles = tileArguments(tileCodes, part);
  const arrays = [
    floats("gradients", gradients, "update", part, columns),
    floats("hessian", hessian, "read", { rows: columns, columns }, hessianStride),
    floats("weights", weights, "read", part, stride),
    floats("values", values, "update", part, stride),
    floats("errors", errors, "update", part, stride),
    bytesArray("codes", codes, "update", rows, columns, stride),
    ...tiles.arrays,
  ];
  const strides = [columns, hessianStride, stride, stride, stride, stride];
  const numbers = [rows, columns, firstColumn, ...strides, ...tiles.numbers];
  backend.run({ operation: "descendColumns", numbers, arrays });
}

function floats(
  name: string,
  data: Float32Array,
  access: MathArray["access"],
  { rows, columns }: { readonly rows: number; readonly columns: number },
  stride: number,
): MathArray {
  return matrix({ name, kind: "F32", data, access, rows, columns, stride });
}
