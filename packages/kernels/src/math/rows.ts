import { argumentError } from "../arguments.ts";
import { checkCounts, checkNumber, matrix, optionalRow } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";

export interface RowsParams {
  /** rows x columns */
  readonly x: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

export interface RowsToRowsParams extends RowsParams {
  /** rows x columns; may be `x`. */
  readonly y: Float32Array;
}

export interface RmsNormParams extends RowsToRowsParams {
  /** One per column. @default all 1 */
  readonly weight?: Float32Array | undefined;
  readonly epsilon: number;
}

export interface LayerNormParams extends RmsNormParams {
  /** One per column. @default all 0 */
  readonly bias?: Float32Array | undefined;
}

/** In the order of csrc/math/elementwise.h. */
const ACTIVATIONS = [
  "silu",
  "gelu",
  "gelu-tanh",
  "gelu-quick",
  "relu",
  "relu-squared",
  "sigmoid",
  "tanh",
] as const;

/**
 * `silu` is x sigmoid(x), `gelu` x times the normal distribution function, `gelu-tanh` and `gelu-quick` (x sigmoid(1.702 x)) are
 * approximations of that; `relu-squared` is max(x, 0)^2.
 */
export type Activation = (typeof ACTIVATIONS)[number];

export interface ActivateParams {
  readonly kind: Activation;
  readonly x: Float32Array;
  /** May be `x` or `up`. */
  readonly y: Float32Array;
  readonly up?: Float32Array | undefined;
  /** Elements. @default those of `x` */
  readonly count?: number | undefined;
}

export interface AddScaledParams {
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** @default 1 */
  readonly alpha?: number | undefined;
  /** Elements. @default those of `x` */
  readonly count?: number | undefined;
}

export interface AddBiasParams {
  /** rows x columns */
  readonly y: Float32Array;
  /** One per column. */
  readonly bias: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

function rowsToRows({ x, y, rows, columns }: RowsToRowsParams): [MathArray, MathArray] {
  checkCounts({ rows, columns });
  return [
    matrix({ name: "x", kind: "F32", data: x, access: "read", rows, columns }),
    matrix({ name: "y", kind: "F32", data: y, access: "write", rows, columns }),
  ];
}

function checkEpsilon(epsilon: number): void {
  checkNumber("epsilon", epsilon);
  if (epsilon < 0) throw argumentError(`epsilon must not be negative, but is ${epsilon}`);
}

export function rmsNorm(backend: MathBackend, params: RmsNormParams): void {
  const { rows, columns, epsilon, weight } = params;
  checkEpsilon(epsilon);
  const arrays = [...rowsToRows(params), optionalRow("weight", weight, columns)];
  backend.run({ operation: "rmsNorm", numbers: [rows, columns, epsilon], arrays });
}

export function layerNorm(backend: MathBackend, params: LayerNormParams): void {
  const { rows, columns, epsilon, weight, bias } = params;
  checkEpsilon(epsilon);
  const arrays = [
    ...rowsToRows(params),
    optionalRow("weight", weight, columns),
    optionalRow("bias", bias, columns),
  ];
  backend.run({ operation: "layerNorm", numbers: [rows, columns, epsilon], arrays });
}

export function softmax(backend: MathBackend, params: RowsToRowsParams): void {
  const { rows, columns } = params;
  backend.run({ operation: "softmax", numbers: [rows, columns], arrays: rowsToRows(params) });
}

export function logSumExp(backend: MathBackend, { x, rows, columns }: RowsParams): Float64Array {
  checkCounts({ rows, columns });
  const found = new Float64Array(2 * rows);
  backend.run({
    operation: "logSumExp",
    numbers: [rows, columns],
    arrays: [
      matrix({ name: "x", kind: "F32", data: x, access: "read", rows, columns }),
      matrix({ name: "sums", kind: "F64", data: found, access: "write", rows, columns: 2 }),
    ],
  });
  // The logarithm of the largest element alone when it is infinite, where the sum is NaN.
  return Float64Array.from({ length: rows }, (_, row) => {
    const largest = found[2 * row]!;
    return Math.abs(largest) === Infinity ? largest : largest + Math.log(found[2 * row + 1]!);
  });
}

export function activate(backend: MathBackend, params: ActivateParams): void {
  const { kind, x, y, up, count = x.length } = params;
  checkCounts({ count });
  const index = ACTIVATIONS.indexOf(kind);
  if (index < 0) {
    throw argumentError(`unknown kind ${JSON.stringify(kind)}; there are ${ACTIVATIONS.join(", ")}`);
  }
  const arrays = [...rowsToRows({ x, y, rows: 1, columns: count }), optionalRow("up", up, count)];
  backend.run({ operation: "activate", numbers: [count, index], arrays });
}

export function addScaled(backend: MathBackend, params: AddScaledParams): void {
  const { x, y, alpha = 1, count = x.length } = params;
  checkCounts({ count });
  checkNumber("alpha", alpha);
  backend.run({
    operation: "addScaled",
    numbers: [count, alpha],
    arrays: [
      matrix({ name: "x", kind: "F32", data: x, access: "read", rows: 1, columns: count }),
      matrix({ name: "y", kind: "F32", data: y, access: "update", rows: 1, columns: count }),
    ],
  });
}

export function addBias(backend: MathBackend, { y, bias, rows, columns }: AddBiasParams): void {
  checkCounts({ rows, columns });
  backend.run({
    operation: "addBias",
    numbers: [rows, columns],
    arrays: [
      matrix({ name: "y", kind: "F32", data: y, access: "update", rows, columns }),
      matrix({ name: "bias", kind: "F32", data: bias, access: "read", rows: 1, columns }),
    ],
  });
}
