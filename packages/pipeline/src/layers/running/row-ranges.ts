import type { PlannedMatrix } from "../plan.ts";
import type { RowRange } from "../tasks/weights.ts";

/** Parts of the rows: enough that all threads have something to do, none too large for its memory. */
export function rowRanges(params: {
  readonly planned: PlannedMatrix;
  readonly chunkWeights: number;
  readonly threads: number;
}): RowRange[] {
  const { planned, chunkWeights, threads } = params;
  const { rows, columns } = planned.linear;
  const { step } = planned.division;
  const wanted = Math.min(Math.ceil(rows / Math.max(threads, 1)), chunkWeights / columns);
  const size = Math.max(step, Math.floor(wanted / step) * step);
  return Array.from({ length: Math.ceil(rows / size) }, (_, index) => ({
    firstRow: index * size,
    rows: Math.min(size, rows - index * size),
  }));
}
