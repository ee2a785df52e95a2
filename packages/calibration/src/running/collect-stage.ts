import type { BlockResult, HiddenStates, ModelWindow } from "@quern/inference";
import type { ParameterSet } from "@quern/models";
import type { StatisticsWriter } from "@quern/statistics";
import { runTasks } from "@quern/threads";
import type { CapturedInput } from "../accumulation/captured-input.ts";
import { matrixRows } from "../accumulation/captured-input.ts";
import { allocatePass, type PassMemory } from "../accumulation/pass-memory.ts";
import type { SharedArena } from "../accumulation/shared-arena.ts";
import type { CalibrationTask, CalibrationThread } from "../node/calibration-service.ts";
import type { BlockPass } from "../planning/block-passes.ts";
import { longestOf } from "../planning/divide-memory.ts";
import type { Stage, StageTask } from "../stage.ts";
import { writePass } from "./write-pass.ts";

/** A window, and what it is for. */
export interface CalibrationWindow extends ModelWindow {
  readonly heldOut: boolean;
}

/** What stages are collected with. */
export interface CollectionContext {
  readonly windows: readonly CalibrationWindow[];
  /** Windows that are captured at once. */
  readonly batch: number;
  readonly threads: readonly CalibrationThread[];
  readonly states: HiddenStates;
  readonly arena: SharedArena;
  readonly writer: StatisticsWriter;
  readonly signal?: AbortSignal;
  /** Called after each window of each pass. */
  readonly onWindow: (progress: { stage: Stage; pass: number; passes: number; tokens: number }) => void;
}

/** A part of the windows: what was captured of each, by index of the input. */
type Batch = readonly { readonly heldOut: boolean; readonly captured: ReadonlyMap<number, CapturedInput> }[];

/**
 * Runs all windows through a stage, as often as there are passes, and writes what its linear layers read. Rows are added to a sum one
 * window after another, by one task at a time: neither batches nor passes nor threads change a result.
 *
 * @throws QuernError `ACTIVATION_NOT_FINITE`, `CALIBRATION_OVERFLOW`, `OUTPUT_*`, the codes of `evaluateBlock`; the reason of the signal
 */
export async function collectStage(params: {
  readonly context: CollectionContext;
  readonly stage: Stage;
  readonly passes: readonly BlockPass[];
  readonly parameters: ParameterSet;
  /** For each input, rows of its hold-out to keep of each matrix. */
  readonly holdOutRows: readonly number[];
}): Promise<void> {
  const { context, stage, passes, parameters, holdOutRows } = params;
  const { arena, windows, batch, writer } = context;
  const tokens = longestOf(windows.map((window) => window.tokens.length));
  for (const [number, pass] of passes.entries()) {
    const memory = allocatePass({ arena, pass, inputs: stage.inputs, holdOutRows, batch, tokens });
    const keep = !stage.changesStates || number < passes.length - 1;
    for (let first = 0; first < windows.length; first += batch) {
      const captured = await captureBatch({
        context,
        stage,
        pass,
        memory,
        parameters,
        keep,
        first,
        onWindow: (count) => context.onWindow({ stage, pass: number, passes: passes.length, tokens: count }),
      });
      await accumulate({ context, stage, pass, memory, batch: captured });
    }
    await writePass({ writer, inputs: stage.inputs, pass, memory });
  }
}

async function captureBatch(params: {
  readonly context: CollectionContext;
  readonly stage: Stage;
  readonly pass: BlockPass;
  readonly memory: PassMemory;
  readonly parameters: ParameterSet;
  readonly keep: boolean;
  /** Index of the first window. */
  readonly first: number;
  readonly onWindow: (tokens: number) => void;
}): Promise<Batch> {
  const { context, stage, pass, memory, parameters, keep, first, onWindow } = params;
  const { windows, states, threads, signal } = context;
  const captured: Map<number, CapturedInput>[] = [];
  const last = Math.min(first + context.batch, windows.length);
  const targetsOf = (index: number): readonly Float32Array[] => memory.captures[index - first]!;

  async function* tasks(): AsyncGenerator<StageTask, void, undefined> {
    for (let index = first; index < last; index++) {
      const capture = pass.captured.map((input, place) => ({
        module: stage.inputs[input]!.name,
        target: targetsOf(index)[place]!,
      }));
      const { tokens, starts } = windows[index]!;
      const hidden = await states.take(index);
      yield stage.task({ parameters, window: { tokens, starts }, index, hidden, keep, capture });
    }
  }
  await runTasks<StageTask, BlockResult | void>({
    tasks: tasks(),
    threads,
    ...(signal === undefined ? {} : { signal }),
    async onDone({ index, hidden }, result) {
      const parts = new Map(result!.captured.map((group) => [group.module, group.parts]));
      captured[index - first] = new Map(
        pass.captured.map((input, place) => [
          input,
          { rows: targetsOf(index)[place]!, parts: parts.get(stage.inputs[input]!.name) ?? [] },
        ]),
      );
      if (keep) states.release(index, hidden);
      else await states.put(index, hidden);
      onWindow(windows[index]!.tokens.length);
    },
  });
  return captured.map((inputs, place) => ({ captured: inputs, heldOut: windows[first + place]!.heldOut }));
}

async function accumulate(params: {
  readonly context: CollectionContext;
  readonly stage: Stage;
  readonly pass: BlockPass;
  readonly memory: PassMemory;
  readonly batch: Batch;
}): Promise<void> {
  const { context, stage, pass, memory, batch } = params;
  const { threads, signal } = context;
  const of = (input: number, heldOut: boolean): CapturedInput[] =>
    batch.flatMap((window) => (window.heldOut === heldOut ? window.captured.get(input)! : []));
  const tasks: CalibrationTask[] = pass.slices.map((slices) => ({
    kind: "hessian",
    slices: slices.map((slice) => ({
      ...slice,
      columns: stage.inputs[slice.input]!.columns,
      h: memory.hessians.get(slice)!,
      captured: of(slice.input, false),
    })),
  }));
  for (const [input, { calibration, tokens, holdOut }] of memory.sums) {
    const { columns } = stage.inputs[input]!;
    const fitted = of(input, false);
    tasks.push({ kind: "columns", columns, sums: calibration, captured: fitted });
    countRows(tokens, fitted);
    if (holdOut === undefined) continue;
    const kept = of(input, true);
    tasks.push({ kind: "columns", columns, sums: holdOut.sums, captured: kept });
    countRows(holdOut.tokens, kept);
    for (const one of kept) {
      for (const { matrix, x } of matrixRows(one, columns)) holdOut.samples[matrix]!.add(x);
    }
  }
  await runTasks({ tasks, threads, ...(signal === undefined ? {} : { signal }) });
}

function countRows(tokens: number[], captured: readonly CapturedInput[]): void {
  for (const { parts } of captured) {
    for (const { matrix, rows } of parts) tokens[matrix]! += rows;
  }
}
