import { localPaths } from "@quern/checkpoints/node";
import { linearOperations, parameterBytes, type RunnableModel } from "@quern/inference";
import type { KernelBackend } from "@quern/kernels";
import { findStatisticsProgress, planStatistics, type StatisticsInput } from "@quern/statistics";
import { checkOutputPlaces } from "@quern/tensor/node";
import { resolveThreads } from "@quern/threads";
import type { CalibrationPlan, PlannedStage } from "../plan.ts";
import { stagesOf } from "../stage.ts";
import { blockPasses } from "./block-passes.ts";
import type { CalibrationWindows } from "./calibration-windows.ts";
import { divideMemory, memoryBudget } from "./divide-memory.ts";
import { attentionOfBlocks, hessianOperations, type Operations } from "./estimate.ts";
import { estimateRun } from "./estimate-run.ts";
import { holdOutRowsOf } from "./hold-out-rows.ts";
import { keptWindows } from "./kept-windows.ts";
import { layerWarnings } from "./layer-warnings.ts";
import { networkBytesOf } from "./network-bytes.ts";

export interface PlanCalibrationParams {
  readonly model: RunnableModel;
  readonly windows: CalibrationWindows;
  /** Absolute path of the file to write. */
  readonly output: string;
  /** Replace a file that exists, and what another run has left unfinished. @default false */
  readonly force?: boolean;
  /** Throw away what an interrupted run has left, even one of this very plan. @default false */
  readonly restart?: boolean;
  /** Whether X^T X of the inputs of blocks is collected. @default true */
  readonly hessians?: boolean;
  /**
   * Of so many windows that are kept apart, the inputs of attention are stored whole: for algorithms that compute what it makes of them.
   * @default 0
   */
  readonly keepWindows?: number;
  /** Bytes for buffers; weights of a block come on top. Default: a quarter of the machine's memory, at most 4 GiB. */
  readonly memory?: number;
  /** Worker threads, 0 for none. Default: one per core. */
  readonly threads?: number;
  /** @default the best that loads */
  readonly backend?: KernelBackend;
  /** Name and version of the program. */
  readonly tool: string;
}

/**
 * Plans a calibration: what is collected, in which memory, and how long it takes. No weights are read.
 *
 * @throws QuernError `CALIBRATION_KEEP_WINDOWS` for more windows than are kept apart, `CALIBRATION_MEMORY` for a budget that is too small, `PLAN_THREADS`, `OUTPUT_*` for a file that cannot be written,
 * `OUTPUT_IN_USE`, `STATISTICS_OTHER_RUN` and `STATISTICS_JOURNAL_INVALID` for one that is unfinished, `STATISTICS_PLAN_INVALID`, `KERNEL_*`
 */
export async function planCalibration(params: PlanCalibrationParams): Promise<CalibrationPlan> {
  const { model, windows, output, force = false, restart = false, backend, tool } = params;
  const { hessians = true, keepWindows = 0 } = params;
  const threads = resolveThreads(params.threads);
  const held = windows.holdOut?.windows ?? [];
  const heldTokens = tokensOf(held);
  const lengths = [...windows.calibration.windows, ...held].map((window) => window.tokens.length);
  const tokens = total(lengths);
  const { width } = model.graph.embedding;

  const kept = keptWindows(held, keepWindows);
  const stages = stagesOf(model);
  const collected = stages.map(({ inputs, changesStates }) => ({
    inputs,
    hessians: hessians && changesStates,
    holdOutRows: inputs.map((input) => holdOutRowsOf(input, heldTokens)),
    // The first input of a block is that of attention.
    windowRows: inputs.map((_, index) => (changesStates && index === 0 ? (kept?.rows ?? 0) : 0)),
  }));
  const budget = memoryBudget(params.memory);
  const memory = divideMemory({ budget, stages: collected, tokens: lengths, width, threads });
  const planned = stages.map((stage, index): PlannedStage => {
    const { inputs, hessians: wanted, holdOutRows, windowRows } = collected[index]!;
    const passes = blockPasses({ inputs, memory: wanted ? memory.hessians : undefined, threads });
    return { stage, passes, holdOutRows, windowRows };
  });

  const statistics = planStatistics({
    model: {
      name: model.name,
      architecture: model.architecture,
      identity: model.identity,
      tensors: [...model.tensors.values()].map(({ name, shape }) => ({ name, shape })),
    },
    corpus: {
      rule: windows.rule,
      calibration: windows.calibration.summary,
      ...(windows.holdOut && { holdOut: windows.holdOut.summary }),
    },
    inputs: stages.flatMap(({ block, inputs }, stage) =>
      inputs.map((input, index): StatisticsInput => ({
        ...input,
        block,
        hessian: collected[stage]!.hessians,
        holdOutRows: collected[stage]!.holdOutRows[index]!,
        ...(kept && collected[stage]!.windowRows[index]! > 0 && { windows: kept }),
      })),
    ),
    tool,
    options: { holdOutEvery: windows.holdOutEvery, ...(keepWindows > 0 && { keepWindows }) },
  });
  const stateBytes = 4 * width * tokens;
  // Saved states of two blocks are there at once, and those in use that do not fit in memory.
  const temporaryBytes = 2 * stateBytes + (memory.states < stateBytes ? stateBytes : 0);
  const unfinished = await findStatisticsProgress({ plan: statistics, path: output, force, restart });
  const [replaces = false] = await checkOutputPlaces({
    places: [
      { path: output, fileSize: statistics.fileSize, isFinished: unfinished?.isPlaced === true },
      { path: `${output}.hidden`, fileSize: temporaryBytes },
    ],
    sources: localPaths(model.source.shards),
    force,
  });

  const operations = operationsOf({ model, planned, lengths, fitted: tokens - heldTokens });
  const weights = Math.max(...stages.map(({ tensors }) => parameterBytes(model, tensors)));
  return {
    model,
    windows,
    tokens,
    output,
    replaces,
    force,
    restart,
    resumes: unfinished !== undefined,
    statistics,
    temporaryBytes,
    ...networkBytesOf({ model, stages, completed: unfinished?.completed }),
    memory,
    threads,
    fileSize: statistics.fileSize,
    stages: planned,
    kept: {
      windows: keepWindows,
      bytes: total(
        planned.flatMap(({ stage: { inputs }, windowRows }) =>
          windowRows.map((rows, index) => 4 * rows * inputs[index]!.columns),
        ),
      ),
    },
    ...(backend === undefined ? {} : { backend }),
    estimate: await estimateRun({
      model,
      operations,
      threads,
      backend,
      lengths,
      weights,
      buffers: memory.used,
    }),
    warnings: [
      ...windows.warnings,
      ...(hessians ? layerWarnings({ tokens: tokens - heldTokens, blocks: model.inputs }) : []),
    ],
  };
}

function operationsOf(params: {
  readonly model: RunnableModel;
  readonly planned: readonly PlannedStage[];
  /** Tokens of each window, and those in all that are calibrated on. */
  readonly lengths: readonly number[];
  readonly fitted: number;
}): Operations {
  const { model, planned, lengths, fitted } = params;
  const { blocks } = linearOperations(model);
  const overPasses = (ofBlocks: readonly number[]): number =>
    total(planned.map(({ stage, passes }) => passes.length * (ofBlocks[stage.block] ?? 0)));
  return {
    linear: total(lengths) * overPasses(blocks),
    attention: overPasses(attentionOfBlocks(model, lengths)),
    hessians:
      fitted *
      total(planned.map(({ stage, passes }) => (hasHessians(passes) ? hessianOperations(stage.inputs) : 0))),
  };
}

function hasHessians(passes: PlannedStage["passes"]): boolean {
  return passes.some(({ slices }) => slices.length > 0);
}

function tokensOf(windows: readonly { readonly tokens: Int32Array }[]): number {
  return total(windows.map((window) => window.tokens.length));
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
