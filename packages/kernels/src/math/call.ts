import { argumentError, checkCount } from "../arguments.ts";

/** `QUERN_MOST_ARRAYS` and `QUERN_MOST_NUMBERS` of csrc/math/operation.h. */
export const MOST_ARRAYS = 12;
export const MOST_NUMBERS = 24;

/** Compiled operations on matrices as they are called: nothing is checked. */
export interface MathBackend {
  /** Larger matrices of weights should come in pieces, since all that an operation reads is copied. */
  readonly pieceBytes: number;
  run(call: MathCall): number;
}

interface MathCall {
  /** A name of the table in csrc/math/math.c. */
  readonly operation: string;
  /** The meaning of numbers and arrays is that of the operation's C file. */
  readonly numbers: readonly number[];
  readonly arrays: readonly (MathArray | undefined)[];
}

type MathData = Float32Array | Float64Array | Uint8Array;

/** The rows of a matrix in an array, from its beginning. */
export interface MathArray {
  readonly data: MathData;
  readonly access: "read" | "write" | "update";
  readonly rows: number;
  readonly rowBytes: number;
  /** From the start of a row to that of the next. */
  readonly strideBytes: number;
}

/** Bytes up to the end of the last row. */
export function spanOf({ rows, rowBytes, strideBytes }: Omit<MathArray, "data" | "access">): number {
  return rows === 0 || rowBytes === 0 ? 0 : (rows - 1) * strideBytes + rowBytes;
}

const KINDS = { F32: Float32Array, F64: Float64Array, U8: Uint8Array } as const;

interface MatrixParams {
  /** What the array is called in messages. */
  readonly name: string;
  readonly kind: "F32" | "F64" | "U8";
  readonly data: MathData;
  readonly access: MathArray["access"];
  readonly rows: number;
  readonly columns: number;
  /** Elements from row to row. @default columns */
  readonly stride?: number | undefined;
}

/** @throws QuernError `KERNEL_ARGUMENT` for an array of another kind, or without room for the matrix. */
export function matrix(params: MatrixParams): MathArray {
  const { name, kind, data, access, rows, columns, stride = columns } = params;
  if (!(data instanceof KINDS[kind])) throw argumentError(`${name} must be a ${KINDS[kind].name}`);
  checkStride(name, stride, rows, columns);
  const unit = data.BYTES_PER_ELEMENT;
  const array = { data, access, rows, rowBytes: columns * unit, strideBytes: stride * unit };
  checkSpan(name, array, `${rows} x ${columns} elements with rows ${stride} apart`);
  return array;
}

/** One row, or none where the array is left out. */
export function optionalRow(
  name: string,
  data: Float32Array | undefined,
  columns: number,
): MathArray | undefined {
  return data && matrix({ name, kind: "F32", data, access: "read", rows: 1, columns });
}

export function checkStride(name: string, stride: number, rows: number, columns: number): void {
  checkCount(`the stride of ${name}`, stride);
  if (rows > 1 && stride < columns) {
    throw argumentError(`rows of ${name} are ${stride} apart, but have ${columns} elements`);
  }
}

export function checkSpan(name: string, array: MathArray, content: string): void {
  const needed = spanOf(array);
  if (array.data.byteLength < needed) {
    throw argumentError(`${name} has ${array.data.byteLength} bytes, but ${content} take ${needed}`);
  }
}

export function checkCounts(counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) checkCount(name, count);
}

export function checkNumber(name: string, value: number): void {
  if (!Number.isFinite(value)) throw argumentError(`${name} must be a finite number, not ${value}`);
}
