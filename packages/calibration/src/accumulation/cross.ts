import type { Kernels } from "@quern/kernels";
import type { LinearInputs } from "@quern/models";
import { type CapturedInput, matrixRows } from "./captured-input.ts";
import type { SharedArena } from "./shared-arena.ts";

/** What the same layer of two models reads in a window: as many rows of each matrix, of the same tokens. */
export interface CapturedPair {
  readonly input: CapturedInput;
  /** Of the model that the other one is compared with. */
  readonly reference: CapturedInput;
}

/** Some rows of (X_f - X)^T X, X being inputs and X_f those of the reference. */
export interface CrossRows {
  readonly matrix: number;
  readonly firstRow: number;
  readonly rows: number;
  /** Rows x columns, in shared memory. */
  readonly c: Float64Array;
}

/** Adds captured rows to such products. */
export interface CrossTask extends CrossRows {
  readonly kind: "cross";
  readonly columns: number;
  /** In the order of windows: sums depend on it. */
  readonly captured: readonly CapturedPair[];
}

/** Products of so many tokens are summed in F32, and added up in F64: as in X^T X. */
const CHUNK = 256;

/** Tasks with fewer rows than this spend their time on reading X. */
const FEWEST_ROWS = 128;

/** Whether both models read as many rows of each matrix, for the same tokens: each chooses experts by itself. */
export function isComparable({ rowsPerToken, matrices }: LinearInputs): boolean {
  return rowsPerToken === matrices;
}

/** Bytes of the products of all matrices of an input. */
export function crossBytes({ matrices, columns }: LinearInputs): number {
  return matrices * columns * columns * Float64Array.BYTES_PER_ELEMENT;
}

/** Makes room for the products of an input, cut into about `tasks` tasks. */
export function allocateCross(params: {
  readonly arena: SharedArena;
  readonly input: LinearInputs;
  readonly tasks: number;
}): CrossRows[] {
  const { arena, input, tasks } = params;
  const { matrices, columns } = input;
  const most = Math.max(FEWEST_ROWS, Math.ceil((matrices * columns) / tasks));
  return Array.from({ length: matrices }, (_, matrix) => {
    const all = arena.float64(columns * columns);
    return Array.from({ length: Math.ceil(columns / most) }, (_, index): CrossRows => {
      const firstRow = index * most;
      const rows = Math.min(most, columns - firstRow);
      return { matrix, firstRow, rows, c: all.subarray(firstRow * columns, (firstRow + rows) * columns) };
    });
  }).flat();
}

export function addCross({ math }: Pick<Kernels, "math">, task: CrossTask): void {
  const { matrix, firstRow, rows, columns, c, captured } = task;
  const differences = new Float32Array(CHUNK * rows);
  const products = new Float32Array(rows * columns);
  for (const { x, reference, tokens } of chunksOf(captured, matrix, columns)) {
    for (let token = 0; token < tokens; token++) {
      const from = token * columns + firstRow;
      for (let row = 0; row < rows; row++) {
        differences[token * rows + row] = reference[from + row]! - x[from + row]!;
      }
    }
    math.gemm({ m: rows, n: columns, k: tokens, a: differences, transposeA: true, b: x, c: products });
    for (let index = 0; index < products.length; index++) c[index]! += products[index]!;
  }
}

/** Rows of a matrix, of both models, at most a chunk of them at a time. */
function* chunksOf(
  captured: readonly CapturedPair[],
  matrix: number,
  columns: number,
): Generator<{ x: Float32Array; reference: Float32Array; tokens: number }> {
  for (const pair of captured) {
    const references = matrixRows(pair.reference, columns);
    for (const { matrix: index, rows, x } of matrixRows(pair.input, columns)) {
      const reference = references.next().value!;
      if (index !== matrix) continue;
      for (let first = 0; first < rows; first += CHUNK) {
        const tokens = Math.min(CHUNK, rows - first);
        const part = (of: Float32Array): Float32Array =>
          of.subarray(first * columns, (first + tokens) * columns);
        yield { x: part(x), reference: part(reference.x), tokens };
      }
    }
  }
}
