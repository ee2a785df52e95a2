import { type Kernels, MAGNITUDE_BINS } from "@quern/kernels";
import { type CapturedInput, matrixRows } from "./captured-input.ts";
import type { SharedArena } from "./shared-arena.ts";

/** Sums over the rows of an input, in shared memory: matrices x columns, but for the counts. */
export interface ColumnSums {
  readonly sum: Float64Array;
  readonly sumOfSquares: Float64Array;
  readonly sumOfMagnitudes: Float64Array;
  readonly largest: Float32Array;
  /** matrices x bins; absent where they are not wanted. */
  readonly counts?: Float64Array;
}

/** Adds captured rows to the sums of an input. */
export interface ColumnsTask {
  readonly kind: "columns";
  readonly columns: number;
  readonly sums: ColumnSums;
  /** In the order of windows: sums depend on it. */
  readonly captured: readonly CapturedInput[];
}

interface Size {
  readonly matrices: number;
  readonly columns: number;
  /** Whether magnitudes are counted. */
  readonly counts: boolean;
}

/** Bytes of {@link ColumnSums}. */
export function columnSumsBytes({ matrices, columns, counts }: Size): number {
  return matrices * (columns * (3 * 8 + 4) + (counts ? MAGNITUDE_BINS * 8 : 0));
}

export function allocateColumnSums(arena: SharedArena, { matrices, columns, counts }: Size): ColumnSums {
  const elements = matrices * columns;
  return {
    sum: arena.float64(elements),
    sumOfSquares: arena.float64(elements),
    sumOfMagnitudes: arena.float64(elements),
    largest: arena.float32(elements),
    ...(counts && { counts: arena.float64(matrices * MAGNITUDE_BINS) }),
  };
}

export function addColumns(kernels: Pick<Kernels, "math">, { columns, sums, captured }: ColumnsTask): void {
  for (const input of captured) {
    for (const { matrix, rows, x } of matrixRows(input, columns)) {
      const of = <Numbers extends Float32Array | Float64Array>(numbers: Numbers): Numbers =>
        numbers.subarray(matrix * columns, (matrix + 1) * columns) as Numbers;
      kernels.math.columnStatistics({
        x,
        rows,
        columns,
        sum: of(sums.sum),
        sumOfSquares: of(sums.sumOfSquares),
        sumOfMagnitudes: of(sums.sumOfMagnitudes),
        largest: of(sums.largest),
      });
      const counts = sums.counts?.subarray(matrix * MAGNITUDE_BINS, (matrix + 1) * MAGNITUDE_BINS);
      if (counts !== undefined) kernels.math.magnitudeHistogram({ x, rows, columns, counts });
    }
  }
}
