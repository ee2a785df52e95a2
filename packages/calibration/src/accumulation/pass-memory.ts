import type { LinearInputs } from "@quern/models";
import { type BlockPass, type HessianSlice, sliceBytes } from "../planning/block-passes.ts";
import { allocateColumnSums, type ColumnSums, columnSumsBytes } from "./columns.ts";
import { FirstRows } from "./first-rows.ts";
import { RowSample } from "./row-sample.ts";
import type { SharedArena } from "./shared-arena.ts";

/** What an input is added up in. */
export interface InputSums {
  readonly calibration: ColumnSums;
  /** Rows of each matrix. */
  readonly tokens: number[];
  readonly holdOut?: {
    readonly sums: ColumnSums;
    readonly tokens: number[];
    /** For each matrix. */
    readonly samples: readonly RowSample[];
    /** Of the windows that are kept whole. */
    readonly windows?: FirstRows;
  };
}

/** Memory of a pass through a block, which threads see. */
export interface PassMemory {
  /** By place in the batch: room for the captured inputs, in the order of `BlockPass.captured`. */
  readonly captures: readonly (readonly Float32Array[])[];
  /** By index of the input: those of `BlockPass.columns`. */
  readonly sums: ReadonlyMap<number, InputSums>;
  readonly hessians: ReadonlyMap<HessianSlice, Float64Array>;
}

/** Bytes that the rows of an input take in a window. */
export function captureBytes({ columns, rowsPerToken }: LinearInputs, tokens: number): number {
  return tokens * rowsPerToken * columns * 4;
}

/**
 * Bytes of the sums and the sample of an input.
 *
 * @param holdOutRows Rows to keep of each matrix; 0: there is no hold-out.
 * @param windowRows Rows of the windows that are kept whole. @default 0
 */
export function sumsBytes({ matrices, columns }: LinearInputs, holdOutRows: number, windowRows = 0): number {
  const rows = matrices * holdOutRows + windowRows;
  const held = columnSumsBytes({ matrices, columns, counts: false }) + rows * columns * 4;
  return columnSumsBytes({ matrices, columns, counts: true }) + (holdOutRows === 0 ? 0 : held);
}

export function allocatePass(params: {
  readonly arena: SharedArena;
  readonly pass: BlockPass;
  readonly inputs: readonly LinearInputs[];
  /** For each input, rows of its hold-out to keep of each matrix. */
  readonly holdOutRows: readonly number[];
  /** For each input, rows of the windows that are kept whole. @default none */
  readonly windowRows?: readonly number[];
  /** Windows in a batch, and tokens of the longest. */
  readonly batch: number;
  readonly tokens: number;
}): PassMemory {
  const { arena, pass, inputs, holdOutRows, windowRows = [], batch, tokens } = params;
  const slices = pass.slices.flat();
  const captured = pass.captured.map((index) => inputs[index]!);
  const bytes =
    total(captured.map((input) => batch * captureBytes(input, tokens))) +
    total(pass.columns.map((index) => sumsBytes(inputs[index]!, holdOutRows[index]!, windowRows[index]))) +
    total(slices.map(sliceBytes));
  const arrays = batch * captured.length + 9 * pass.columns.length + slices.length;
  arena.reset({ bytes, arrays });
  return {
    captures: Array.from({ length: batch }, () =>
      captured.map((input) => arena.float32(captureBytes(input, tokens) / 4)),
    ),
    sums: new Map(
      pass.columns.map((index) => [
        index,
        allocateSums(arena, inputs[index]!, {
          holdOut: holdOutRows[index]!,
          windows: windowRows[index] ?? 0,
        }),
      ]),
    ),
    hessians: new Map(slices.map((slice) => [slice, arena.float64(sliceBytes(slice) / 8)])),
  };
}

function allocateSums(
  arena: SharedArena,
  { matrices, columns }: LinearInputs,
  rows: { readonly holdOut: number; readonly windows: number },
): InputSums {
  const zeros = (): number[] => Array.from({ length: matrices }, () => 0);
  const calibration = allocateColumnSums(arena, { matrices, columns, counts: true });
  const { holdOut: most, windows } = rows;
  if (most === 0) return { calibration, tokens: zeros() };
  const holdOut = {
    sums: allocateColumnSums(arena, { matrices, columns, counts: false }),
    tokens: zeros(),
    samples: Array.from({ length: matrices }, () => new RowSample({ columns, most })),
    ...(windows > 0 && { windows: new FirstRows({ columns, rows: windows }) }),
  };
  return { calibration, tokens: zeros(), holdOut };
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
