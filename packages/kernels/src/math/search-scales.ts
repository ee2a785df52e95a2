import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";
import { bytesArray, tileArguments } from "./tile-codes.ts";
import type { CodeRule } from "./tile-codes.ts";

/** One tile of a matrix: the same columns of all rows, each of which has a scale and a shift. Strides are elements from row to row. */
export interface SearchScalesParams {
  readonly rows: number;
  /** Of the tile. */
  readonly columns: number;
  readonly rule: CodeRule;
  /** rows x columns: of `errors * H`. */
  readonly gradients: Float32Array;
  readonly gradientStride: number;
  /** rows x columns: what the codes mean. They stay as they are. */
  readonly values: Float32Array;
  readonly valueStride: number;
  /** rows x columns */
  readonly codes: Uint8Array;
  readonly codeStride: number;
  /** The block of H that belongs to the columns, as a sum of squares: the column at each place, */
  readonly order: Int32Array;
  /** columns x columns, by place: the error of place i times factor (i, j) is added to place j after it, */
  readonly factors: Float32Array;
  /** by place: what the square of the sum counts. */
  readonly weights: Float32Array;
  /** Of scales, and as many of shifts, for each row: an odd number, at most 255. The search starts from the one in the middle. */
  readonly choices: number;
  /** rows x choices; those next to each other are a step apart. */
  readonly scales: Float32Array;
  /** The same, where the rule takes shifts. */
  readonly shifts?: Float32Array | undefined;
  /** Whether shifts are searched, too. */
  readonly movesShifts: boolean;
  /** At most; there are 2 directions of a step, or 8 with shifts, and a search ends when all of them in turn have led to nothing. */
  readonly attempts: number;
  /** Become the numbers of the choices of scale and shift, rows x 2. */
  readonly places: Uint8Array;
}

export function searchScales(backend: MathBackend, params: SearchScalesParams): void {
  const { rows, columns, rule, gradients, gradientStride, values, valueStride, codes, codeStride } = params;
  const { order, factors, weights, choices, scales, shifts, movesShifts, attempts, places } = params;
  checkCounts({ rows, columns, choices, attempts });
  if (choices % 2 === 0 || choices > 255) {
    throw argumentError(`a search takes an odd number of choices up to 255, not ${choices}`);
  }
  if (order.length < columns || order.some((column) => !(column >= 0 && column < columns))) {
    throw argumentError(
      `the order must name a column from 0 to ${columns - 1} for each of ${columns} places`,
    );
  }
  // Choices lie as if each of them was a tile.
  const shape = { rows, totalColumns: choices };
  const candidates = tileArguments({ rule, tile: { rows: 1, columns: 1 }, scales, shifts }, shape);
  const floats = (name: string, data: Float32Array, count: number, stride: number): MathArray =>
    matrix({ name, kind: "F32", data, access: "read", rows: count, columns, stride });
  const ordered = new Uint8Array(order.buffer, order.byteOffset, 4 * columns);
  const arrays = [
    floats("gradients", gradients, rows, gradientStride),
    floats("values", values, rows, valueStride),
    bytesArray("order", ordered, "read", 1, 4 * columns),
    floats("factors", factors, columns, columns),
    floats("weights", weights, 1, columns),
    bytesArray("codes", codes, "update", rows, columns, codeStride),
    bytesArray("places", places, "write", rows, 2),
    ...candidates.arrays,
  ];
  const strides = [gradientStride, valueStride, codeStride];
  const numbers = [rows, columns, ...strides, choices, movesShifts ? 2 : 1, attempts, ...candidates.numbers];
  backend.run({ operation: "searchScales", numbers, arrays });
}
