import { dirname } from "node:path";
import { embedWindows, HiddenStates, openParameters } from "@quern/inference";
import { createStatisticsWriter, type StatisticsWriter } from "@quern/statistics";
import { closeThreads, compiledModule, startThreads } from "@quern/threads";
import { SharedArena } from "../accumulation/shared-arena.ts";
import type { CalibrationEvent, CalibrationReport } from "../events.ts";
import { type CalibrationThread, createService } from "../node/calibration-service.ts";
import type { CalibrationPlan } from "../plan.ts";
import { windowsOf } from "./capture-batch.ts";
import { collectStage } from "./collect-stage.ts";
import { ProgressTracker } from "./progress-tracker.ts";
import { rareExperts } from "./rare-experts.ts";
import { SavedStates } from "./saved-states.ts";

export interface CalibrateOptions {
  /** Stops the run; what is complete stays for a later one. */
  readonly signal?: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: CalibrationEvent) => void;
}

/**
 * Runs a model block by block over all windows, and writes what its linear layers read. The weights of one block are in memory at a
 * time. After each block, its statistics and the hidden states behind it are on disk: when a run ends early, by its signal or any other
 * way, the next one with the same plan goes on from there, and makes the same file.
 *
 * @throws the reason of `signal`; QuernError `ACTIVATION_NOT_FINITE` (names the block), `CALIBRATION_OVERFLOW`, `STATISTICS_OTHER_RUN`,
 * `OUTPUT_*`, `SOURCE_*`, `CHECKPOINT_CHANGED`, `WORKER_*`
 */
export async function calibrate(
  plan: CalibrationPlan,
  { signal, onEvent = () => undefined }: CalibrateOptions = {},
): Promise<CalibrationReport> {
  const started = performance.now();
  signal?.throwIfAborted();
  const { model, output, stages, memory } = plan;
  const windows = windowsOf(plan.windows);
  const saved = await SavedStates.of(plan);
  const { writer, next } = await openWriter(plan, saved);
  const parameters = openParameters(model);
  let threads: readonly CalibrationThread[] = [];
  let states: HiddenStates | undefined;
  try {
    await saved.keepOnly([next]);
    threads = await startThreads({
      count: plan.threads,
      createService,
      module: () => compiledModule("../node/calibration-service.ts", import.meta.url),
      options: plan.backend === undefined ? {} : { backend: plan.backend },
    });
    const kernels = threads[0]!.description;
    states = await HiddenStates.create({
      tokens: windows.map(({ tokens }) => tokens.length),
      width: model.graph.embedding.width,
      memory: memory.states,
      folder: dirname(output),
    });
    const tracker = new ProgressTracker({ plan, resumed: next, emit: onEvent });
    tracker.start(windows.length);
    const run = { threads, windows, states, ...(signal === undefined ? {} : { signal }) };
    if (next === 0) await embedWindows({ ...run, model, parameters });
    else if (next < stages.length) await states.restore(saved.path(next));
    const context = {
      ...run,
      batch: memory.batch,
      arena: new SharedArena(),
      writer,
      onWindow: tracker.windowDone.bind(tracker),
    };
    for (const { stage, passes, holdOutRows, windowRows } of stages.slice(next)) {
      const loaded = await parameters.load(stage.tensors);
      await collectStage({ context, stage, passes, parameters: loaded, holdOutRows, windowRows });
      parameters.release(loaded);
      const isLast = stage.block === stages.length - 1;
      if (!isLast) await saved.save(stage.block + 1, states);
      await writer.completeBlock(stage.block);
      await saved.keepOnly(isLast ? [] : [stage.block + 1]);
      tracker.blockDone(stage.block);
    }
    await writer.finish();
    await saved.keepOnly([]);
    onEvent({ type: "output:done", files: [output], bytes: plan.fileSize });
    const seconds = (performance.now() - started) / 1000;
    const report: CalibrationReport = {
      path: output,
      bytes: plan.fileSize,
      tokens: plan.tokens,
      blocks: model.graph.blocks.length,
      resumed: next,
      seconds,
      tokensPerSecond: tracker.tokensPerSecond(),
      kernels,
      threads: plan.threads,
      rareExperts: await rareExperts(plan),
    };
    onEvent({ type: "done", report });
    return report;
  } finally {
    await closeThreads(threads);
    await Promise.all([writer.close(), parameters.close(), states?.close()]);
    if (writer.completed.size === 0) await saved.keepOnly([]);
  }
}

/** @returns also the first block that is not complete; 0 where the hidden states to go on with are not there */
async function openWriter(
  { statistics: plan, output: path, force, restart, stages }: CalibrationPlan,
  saved: SavedStates,
): Promise<{ writer: StatisticsWriter; next: number }> {
  const writer = await createStatisticsWriter({ plan, path, force, restart });
  const next = stages.findIndex(({ stage }) => !writer.completed.has(stage.block));
  if (next === 0) return { writer, next };
  if (next < 0) return { writer, next: stages.length };
  if (await saved.has(next)) return { writer, next };
  await writer.close();
  return { writer: await createStatisticsWriter({ plan, path, force, restart: true }), next: 0 };
}
