import { argumentError, checkCount } from "../arguments.ts";
import type { KernelType } from "../backend.ts";
import { checkCounts, checkNumber, checkSpan, checkStride, matrix } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";

/** op(a) is m x k, op(b) is k x n, c is m x n. A linear layer has m = tokens, k = inputs, n = outputs and `transposeB`. */
export interface GemmParams {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** m x k, or k x m if `transposeA`. */
  readonly a: Float32Array;
  /** Elements from row to row. @default the columns of what is stored */
  readonly aStride?: number | undefined;
  readonly transposeA?: boolean | undefined;
  /**
   * k x n, or n x k if `transposeB`. Blocks become F32 as they are read, each of them once: divide a product with quantized weights by n.
   * Bytes need no alignment.
   */
  readonly b: Float32Array | Uint8Array;
  /** One of `sourceTypes` of the kernels. @default "F32" */
  readonly bType?: string | undefined;
  /** In elements, a multiple of the block size; rows begin with a block. @default the columns of what is stored */
  readonly bStride?: number | undefined;
  readonly transposeB?: boolean | undefined;
  readonly c: Float32Array;
  readonly cStride?: number | undefined;
  /** @default 1 */
  readonly alpha?: number | undefined;
  /** Otherwise `c` is not read. @default false */
  readonly accumulate?: boolean | undefined;
}

/** Columns of a piece: where blocks of all types begin. */
const PIECE_UNIT = 256;

export function gemm(backend: MathBackend, types: readonly KernelType[], params: GemmParams): void {
  const { m, n, k, a, b, c, bType = "F32", alpha = 1, accumulate = false } = params;
  const { transposeA = false, transposeB = false } = params;
  checkCounts({ m, n, k });
  checkNumber("alpha", alpha);
  const index = types.findIndex(({ name }) => name === bType);
  if (index < 0) throw argumentError(`unknown type ${JSON.stringify(bType)} of b`);
  const type = types[index]!;
  const [aRows, aColumns] = transposeA ? [k, m] : [m, k];
  const [bRows, bColumns] = transposeB ? [n, k] : [k, n];
  const { aStride = aColumns, bStride = bColumns, cStride = n } = params;
  const left = { name: "a", data: a, rows: aRows, columns: aColumns, stride: aStride };
  const product = { name: "c", data: c, rows: m, columns: n, stride: cStride };
  const arrays = [
    matrix({ ...left, kind: "F32", access: "read" }),
    typedMatrix(type, b, bRows, bColumns, bStride),
    matrix({ ...product, kind: "F32", access: accumulate ? "update" : "write" }),
  ];
  if (bytesOf(type, bRows * bColumns) > backend.pieceBytes && n > PIECE_UNIT) {
    const half = Math.ceil(n / 2 / PIECE_UNIT) * PIECE_UNIT;
    const offset = bytesOf(type, transposeB ? half * bStride : half);
    const rest = new Uint8Array(b.buffer, b.byteOffset + offset, b.byteLength - offset);
    const strides = { aStride, bStride, cStride };
    gemm(backend, types, { ...params, ...strides, n: half });
    gemm(backend, types, { ...params, ...strides, n: n - half, b: rest, c: c.subarray(half) });
    return;
  }
  const numbers = [m, n, k, aStride, transposeA, index, bStride, transposeB, cStride, alpha, accumulate];
  backend.run({ operation: "gemm", numbers: numbers.map(Number), arrays });
}

function typedMatrix(
  type: KernelType,
  data: Float32Array | Uint8Array,
  rows: number,
  columns: number,
  stride: number,
): MathArray {
  if (!(data instanceof Uint8Array || (data instanceof Float32Array && type.name === "F32"))) {
    throw argumentError(`b of type ${type.name} must be a Uint8Array`);
  }
  checkStride("b", stride, rows, columns);
  for (const [what, count] of Object.entries({ "columns of b": columns, "the stride of b": stride })) {
    checkCount(what, count);
    if (count % type.blockSize !== 0) {
      throw argumentError(
        `${what} must be a multiple of ${type.blockSize} for ${type.name}, but there are ${count}`,
      );
    }
  }
  const rowBytes = bytesOf(type, columns);
  const array: MathArray = { data, access: "read", rows, rowBytes, strideBytes: bytesOf(type, stride) };
  checkSpan("b", array, `${rows} x ${columns} weights of type ${type.name} with rows ${stride} apart`);
  return array;
}

function bytesOf({ blockSize, typeSize }: KernelType, elements: number): number {
  return (elements / blockSize) * typeSize;
}
