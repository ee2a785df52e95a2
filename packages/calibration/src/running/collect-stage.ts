import type { ParameterSet } from "@quern/models";
import type { StatisticsWriter } from "@quern/statistics";
import { allocatePass } from "../accumulation/pass-memory.ts";
import type { SharedArena } from "../accumulation/shared-arena.ts";
import type { BlockPass } from "../planning/block-passes.ts";
import { longestOf } from "../planning/divide-memory.ts";
import type { Stage } from "../stage.ts";
import { accumulateBatch } from "./accumulate-batch.ts";
import { captureBatch, type CaptureContext } from "./capture-batch.ts";
import { writePass } from "./write-pass.ts";

/** What stages are collected with. */
export interface CollectionContext extends CaptureContext {
  readonly arena: SharedArena;
  readonly writer: StatisticsWriter;
  /** Called after each window of each pass. */
  readonly onWindow: (progress: { stage: Stage; pass: number; passes: number; tokens: number }) => void;
}

/**
 * Runs all windows through a stage, as often as there are passes, and writes what its linear layers read.
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
  /** For each input, rows of the windows that are kept whole. */
  readonly windowRows: readonly number[];
}): Promise<void> {
  const { context, stage, passes, parameters, holdOutRows, windowRows } = params;
  const { arena, windows, batch, writer } = context;
  const { inputs } = stage;
  const tokens = longestOf(windows.map((window) => window.tokens.length));
  for (const [number, pass] of passes.entries()) {
    const memory = allocatePass({ arena, pass, inputs, holdOutRows, windowRows, batch, tokens });
    const keep = !stage.changesStates || number < passes.length - 1;
    for (let first = 0; first < windows.length; first += batch) {
      const captured = await captureBatch({
        context,
        stage,
        inputs: pass.captured,
        targets: memory.captures,
        parameters,
        keep,
        first,
        onWindow: (count) => context.onWindow({ stage, pass: number, passes: passes.length, tokens: count }),
      });
      await accumulateBatch({ context, inputs, pass, memory, batch: captured });
    }
    await writePass({ writer, inputs, pass, memory });
  }
}
