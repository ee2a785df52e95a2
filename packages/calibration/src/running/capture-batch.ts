import type { BlockResult, HiddenStates, ModelWindow } from "@quern/inference";
import type { ParameterSet } from "@quern/models";
import { runTasks } from "@quern/threads";
import type { CapturedInput } from "../accumulation/captured-input.ts";
import { captureBytes } from "../accumulation/pass-memory.ts";
import type { CalibrationThread } from "../node/calibration-service.ts";
import type { CalibrationWindows } from "../planning/calibration-windows.ts";
import type { Stage, StageTask } from "../stage.ts";

/** A window, and what it is for. */
export interface CalibrationWindow extends ModelWindow {
  readonly heldOut: boolean;
}

/** Calibration first: the rest of the order does not matter to any sum. */
export function windowsOf({ calibration, holdOut }: CalibrationWindows): CalibrationWindow[] {
  return [
    ...calibration.windows.map((window) => ({ ...window, heldOut: false })),
    ...(holdOut?.windows ?? []).map((window) => ({ ...window, heldOut: true })),
  ];
}

/** What windows are run with. */
export interface CaptureContext {
  readonly windows: readonly CalibrationWindow[];
  /** Windows that are captured at once. */
  readonly batch: number;
  readonly threads: readonly CalibrationThread[];
  readonly states: HiddenStates;
  readonly signal?: AbortSignal;
}

/** A part of the windows: what was captured of each, by index of the input. */
export type CapturedBatch = readonly {
  readonly heldOut: boolean;
  readonly captured: ReadonlyMap<number, CapturedInput>;
}[];

/**
 * Runs a batch of windows through a stage, each on one thread.
 *
 * @throws QuernError `ACTIVATION_NOT_FINITE`, `OUTPUT_*`, the codes of `evaluateBlock`; the reason of the signal
 */
export async function captureBatch(params: {
  readonly context: CaptureContext;
  readonly stage: Stage;
  /** Inputs to capture, by index. */
  readonly inputs: readonly number[];
  /** By place in the batch: room for these inputs. */
  readonly targets: readonly (readonly Float32Array[])[];
  readonly parameters: ParameterSet;
  /** Whether hidden states stay as they are. */
  readonly keep: boolean;
  /** Index of the first window. */
  readonly first: number;
  readonly onWindow: (tokens: number) => void;
}): Promise<CapturedBatch> {
  const { context, stage, inputs, targets, parameters, keep, first, onWindow } = params;
  const { windows, states, threads, signal } = context;
  const captured: Map<number, CapturedInput>[] = [];
  const last = Math.min(first + context.batch, windows.length);
  const rowsOf = (index: number, place: number): Float32Array => {
    const bytes = captureBytes(stage.inputs[inputs[place]!]!, windows[index]!.tokens.length);
    return targets[index - first]![place]!.subarray(0, bytes / Float32Array.BYTES_PER_ELEMENT);
  };

  async function* tasks(): AsyncGenerator<StageTask, void, undefined> {
    for (let index = first; index < last; index++) {
      const capture = inputs.map((input, place) => ({
        module: stage.inputs[input]!.name,
        target: rowsOf(index, place),
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
        inputs.map((input, place) => [
          input,
          { rows: rowsOf(index, place), parts: parts.get(stage.inputs[input]!.name) ?? [] },
        ]),
      );
      if (keep) states.release(index, hidden);
      else await states.put(index, hidden);
      onWindow(windows[index]!.tokens.length);
    },
  });
  return captured.map((rows, place) => ({ captured: rows, heldOut: windows[first + place]!.heldOut }));
}
