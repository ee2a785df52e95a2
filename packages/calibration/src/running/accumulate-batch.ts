import type { LinearInputs } from "@quern/models";
import { runTasks } from "@quern/threads";
import { type CapturedInput, matrixRows } from "../accumulation/captured-input.ts";
import type { PassMemory } from "../accumulation/pass-memory.ts";
import type { CalibrationTask } from "../node/calibration-service.ts";
import type { BlockPass } from "../planning/block-passes.ts";
import type { CapturedBatch, CaptureContext } from "./capture-batch.ts";

/**
 * Adds what was captured to the sums of a pass. Rows are added to a sum one window after another, by one task at a time: neither batches
 * nor passes nor threads change a result.
 *
 * @throws the reason of the signal
 */
export async function accumulateBatch(params: {
  readonly context: Pick<CaptureContext, "threads" | "signal">;
  readonly inputs: readonly LinearInputs[];
  readonly pass: BlockPass;
  readonly memory: PassMemory;
  readonly batch: CapturedBatch;
  /** More to do with it. */
  readonly others?: readonly CalibrationTask[];
}): Promise<void> {
  const { context, inputs, pass, memory, batch, others = [] } = params;
  const { threads, signal } = context;
  const of = (input: number, heldOut: boolean): CapturedInput[] =>
    batch.flatMap((window) => (window.heldOut === heldOut ? window.captured.get(input)! : []));
  const tasks: CalibrationTask[] = pass.slices.map((slices) => ({
    kind: "hessian",
    slices: slices.map((slice) => ({
      ...slice,
      columns: inputs[slice.input]!.columns,
      h: memory.hessians.get(slice)!,
      captured: of(slice.input, false),
    })),
  }));
  for (const [input, { calibration, tokens, holdOut }] of memory.sums) {
    const { columns } = inputs[input]!;
    const fitted = of(input, false);
    tasks.push({ kind: "columns", columns, sums: calibration, captured: fitted });
    countRows(tokens, fitted);
    if (holdOut === undefined) continue;
    const kept = of(input, true);
    tasks.push({ kind: "columns", columns, sums: holdOut.sums, captured: kept });
    countRows(holdOut.tokens, kept);
    for (const one of kept) {
      for (const { matrix, x } of matrixRows(one, columns)) {
        holdOut.samples[matrix]!.add(x);
        holdOut.windows?.add(x);
      }
    }
  }
  await runTasks({ tasks: [...tasks, ...others], threads, ...(signal === undefined ? {} : { signal }) });
}

function countRows(tokens: number[], captured: readonly CapturedInput[]): void {
  for (const { parts } of captured) {
    for (const { matrix, rows } of parts) tokens[matrix]! += rows;
  }
}
