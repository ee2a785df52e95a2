import type { LinearInputs } from "@quern/models";

/** Some rows of the lower triangle of X^T X of one input, or of one of its matrices. */
export interface HessianSlice {
  /** Index among the inputs of the block. */
  readonly input: number;
  readonly matrix: number;
  readonly firstRow: number;
  readonly rows: number;
}

/** What is collected in one run through a block. */
export interface BlockPass {
  /** Inputs that are captured, by index. */
  readonly captured: readonly number[];
  /** Those of them whose columns are added up in this pass; every input of the block is in one pass. */
  readonly columns: readonly number[];
  /** Slices for the same task lie together: tasks take about equally long. */
  readonly slices: readonly (readonly HessianSlice[])[];
}

/** A slice with fewer rows than this spends its time on reading rows of X. */
const FEWEST_ROWS = 128;

/** Tasks for each thread: as many as keep all threads busy to the end. */
const TASKS_PER_THREAD = 4;

const BYTES = Float64Array.BYTES_PER_ELEMENT;

/** Bytes of memory of a slice: its rows as far as the diagonal of the last. */
export function sliceBytes({ firstRow, rows }: HessianSlice): number {
  return rows * (firstRow + rows) * BYTES;
}

/** Memory of all Hessians of a block at once. */
export function hessianBytes(params: { inputs: readonly LinearInputs[]; threads: number }): number {
  return slicesOf({ ...params, memory: Infinity }).reduce((sum, slice) => sum + sliceBytes(slice), 0);
}

/**
 * Divides the Hessians of a block into passes that fit in memory, and each pass into tasks. What is collected does not depend on it.
 *
 * @param params.memory Bytes for Hessians; undefined for none. A single row is taken, however large.
 */
export function blockPasses(params: {
  readonly inputs: readonly LinearInputs[];
  readonly memory: number | undefined;
  readonly threads: number;
}): BlockPass[] {
  const { inputs, memory, threads } = params;
  const all = inputs.map((_, index) => index);
  if (memory === undefined) return [{ captured: all, columns: all, slices: [] }];
  const passes: HessianSlice[][] = [[]];
  let used = 0;
  for (const slice of slicesOf({ inputs, threads, memory })) {
    const bytes = sliceBytes(slice);
    if (used > 0 && used + bytes > memory) {
      passes.push([]);
      used = 0;
    }
    passes.at(-1)!.push(slice);
    used += bytes;
  }
  const seen = new Set<number>();
  return passes.map((slices) => {
    const captured = [...new Set(slices.map(({ input }) => input))];
    const columns = captured.filter((input) => !seen.has(input));
    for (const input of captured) seen.add(input);
    return { captured, columns, slices: groupSlices(slices, threads) };
  });
}

/** All Hessians of a block, cut so that no slice takes much more than the share of a task, or all memory. */
function slicesOf(params: {
  readonly inputs: readonly LinearInputs[];
  readonly threads: number;
  readonly memory: number;
}): HessianSlice[] {
  const { inputs, threads, memory } = params;
  const whole = inputs.reduce((sum, { matrices, columns }) => sum + matrices * columns * columns, 0) / 2;
  const share = Math.min((whole / tasksOf(threads)) * BYTES, memory);
  return inputs.flatMap(({ matrices, columns }, input) =>
    Array.from({ length: matrices }, (_, matrix) =>
      cutRows({ columns, share, memory }).map((range) => ({ input, matrix, ...range })),
    ).flat(),
  );
}

function cutRows(params: {
  readonly columns: number;
  readonly share: number;
  readonly memory: number;
}): { firstRow: number; rows: number }[] {
  const { columns, share, memory } = params;
  const ranges: { firstRow: number; rows: number }[] = [];
  for (let firstRow = 0; firstRow < columns; firstRow += ranges.at(-1)!.rows) {
    const fitting = rowsWithin(firstRow, memory);
    const wanted = Math.max(rowsWithin(firstRow, share), FEWEST_ROWS);
    ranges.push({ firstRow, rows: Math.min(columns - firstRow, Math.max(1, Math.min(fitting, wanted))) });
  }
  return ranges;
}

/** The most rows from `firstRow` on whose slice takes at most `bytes`: rows (firstRow + rows) = bytes / 8. */
function rowsWithin(firstRow: number, bytes: number): number {
  const half = firstRow / 2;
  return Math.floor(Math.sqrt(half * half + bytes / BYTES) - half);
}

function groupSlices(slices: readonly HessianSlice[], threads: number): HessianSlice[][] {
  const share = slices.reduce((sum, slice) => sum + sliceBytes(slice), 0) / tasksOf(threads);
  const groups: HessianSlice[][] = [];
  let room = 0;
  for (const slice of slices) {
    const bytes = sliceBytes(slice);
    if (groups.length === 0 || room < bytes / 2) {
      groups.push([]);
      room = share;
    }
    groups.at(-1)!.push(slice);
    room -= bytes;
  }
  return groups;
}

function tasksOf(threads: number): number {
  return TASKS_PER_THREAD * Math.max(threads, 1);
}
