import { createHash } from "node:crypto";
import { localPaths } from "@quern/checkpoints/node";
import { inputOperations, parameterBytes, type RunnableModel } from "@quern/inference";
import type { KernelBackend } from "@quern/kernels";
import type { LinearInputs } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import { resolveThreads } from "@quern/threads";
import { crossBytes, isComparable } from "../accumulation/cross.ts";
import type { CalibrationWindows } from "../planning/calibration-windows.ts";
import { type CollectedInputs, memoryBudget } from "../planning/divide-memory.ts";
import { attentionOfBlocks, hessianOperations, type Operations } from "../planning/estimate.ts";
import { estimateRun } from "../planning/estimate-run.ts";
import { holdOutRowsOf } from "../planning/hold-out-rows.ts";
import { keptWindows } from "../planning/kept-windows.ts";
import { layerWarnings } from "../planning/layer-warnings.ts";
import { type Stage, stagesOf } from "../stage.ts";
import { divideSequentialMemory, leastBytes, type SequentialCapture } from "./divide-sequential-memory.ts";
import type { PlannedFolds, SequentialMode, SequentialPlan, SequentialStage } from "./plan.ts";

export interface PlanSequentialParams {
  readonly model: RunnableModel;
  readonly windows: CalibrationWindows;
  /** @default "true-sequential" */
  readonly mode?: SequentialMode;
  /** Whether X^T X can be asked for. @default true */
  readonly hessians?: boolean;
  /** Whether (X_f - X)^T X can be asked for, which takes twice the time and the memory. @default false */
  readonly cross?: boolean;
  /** Whether weights change before their layers are quantized (`change`). @default whether `folds` is given */
  readonly changes?: boolean;
  /** What is to be known of blocks until they change, such as by factors that are chosen by it. Default: nothing. */
  readonly folds?: FoldsRequest;
  /** Whether the input of the output layer can be asked for. @default false */
  readonly output?: boolean;
  /** Absolute path that temporary files are named after. */
  readonly temporary: string;
  /** Whether hidden states are saved after each block, for a run that goes on. @default false */
  readonly saves?: boolean;
  /** Bytes for buffers; weights of a block come on top. Default: a quarter of the machine's memory, at most 4 GiB. */
  readonly memory?: number;
  /** Worker threads, 0 for none. Default: one per core. */
  readonly threads?: number;
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

/** What is to be known of blocks before they change. */
export interface FoldsRequest {
  /** Whether X^T X is. */
  readonly hessians: boolean;
  /** Of so many windows that are kept apart, all inputs of attention are. @default 0 */
  readonly keepWindows?: number;
}

/**
 * Plans a run of a model that goes along with its quantization: in which memory, how often blocks are run, and how long that takes. No
 * weights are read.
 *
 * @throws QuernError `CALIBRATION_MEMORY` for a budget that is too small (the message has the least), `CALIBRATION_KEEP_WINDOWS` for more
 * windows than are kept apart, `PLAN_THREADS`, `OUTPUT_*` for a folder that cannot take temporary files, `KERNEL_*`
 */
export async function planSequential(params: PlanSequentialParams): Promise<SequentialPlan> {
  const { model, windows, temporary, backend } = params;
  const { mode = "true-sequential", hessians = true, cross = false, output = false, saves = false } = params;
  const threads = resolveThreads(params.threads);
  const fitted = lengthsOf(windows.calibration.windows);
  const lengths = [...fitted, ...lengthsOf(windows.holdOut?.windows ?? [])];
  const tokens = total(lengths);
  const fittedTokens = total(fitted);
  const { width } = model.graph.embedding;
  const budget = memoryBudget(params.memory);
  const folds = params.folds && plannedFolds(params.folds, windows);
  const { changes = folds !== undefined } = params;

  const captured = stagesOf(model)
    .filter(({ changesStates }) => changesStates || output)
    .map((stage): SequentialStage => {
      const groups = mode === "block" ? [stage.inputs] : stage.inputs.map((input) => [input]);
      const captures = groups.map((inputs): CollectedInputs => ({
        inputs,
        hessians,
        holdOutRows: inputs.map((input) => holdOutRowsOf(input, tokens - fittedTokens)),
      }));
      return { stage, captures };
    });
  const compared = captured.flatMap(({ captures }) => captures.map((one) => ({ ...one, cross })));
  const alone = (one: CollectedInputs): SequentialCapture => ({ ...one, cross: false });
  const fits = (one: CollectedInputs): boolean => {
    const { sums, window } = leastBytes([...compared, alone(one)], { tokens: lengths, width, threads });
    return sums + window <= budget;
  };
  const stages = captured.map((stage): SequentialStage =>
    folds ? { ...stage, before: capturesBefore(stage, folds, fits) } : stage,
  );
  const memory = divideSequentialMemory({
    budget,
    captures: [...compared, ...stages.flatMap(({ before = [] }) => before.map(alone))],
    tokens: lengths,
    referenceTokens: cross ? fittedTokens : 0,
    width,
    threads,
  });
  const runTokens = tokens + (cross ? fittedTokens : 0);
  const stateBytes = 4 * width * runTokens;
  // Saved states of two blocks are there at once, and those in use that do not fit in memory.
  const spilled = memory.states + memory.referenceStates < stateBytes ? stateBytes : 0;
  const temporaryBytes = (saves ? 2 * stateBytes : 0) + spilled;
  await checkOutputPlaces({
    places: [{ path: `${temporary}.hidden`, fileSize: temporaryBytes }],
    sources: localPaths(model.source.shards),
    force: true,
  });
  const operations = operationsOf({
    model,
    stages,
    folds,
    cross,
    hessians,
    lengths,
    runTokens,
    fittedTokens,
  });
  const all = stages.flatMap(({ stage }) => stage.inputs);
  return {
    model,
    windows,
    mode,
    hessians,
    cross,
    ...(folds && { folds }),
    tokens,
    stages,
    work:
      runTokens * total(stages.map(({ captures }, index) => captures.length + advances(stages, index))) +
      tokens * total(stages.map(({ before = [] }) => before.length)),
    temporary,
    temporaryBytes,
    identity: identityOf(model.identity, [
      mode,
      hessians,
      cross,
      ...hashesOf(windows),
      ...(params.folds ? [params.folds] : []),
    ]),
    saves,
    memory,
    threads,
    ...(backend === undefined ? {} : { backend }),
    estimate: await estimateRun({
      model,
      operations,
      threads,
      backend,
      lengths,
      weights: Math.max(...stages.map(({ stage }) => weightBytes(model, stage, { cross, changes }))),
      buffers: memory.used + givenBytes(all, { hessians, cross }),
    }),
    warnings: [
      ...windows.warnings,
      ...(hessians ? layerWarnings({ tokens: fittedTokens, blocks: model.inputs }) : []),
      ...(cross ? routingWarnings(all) : []),
    ],
  };
}

function plannedFolds(
  { hessians, keepWindows = 0 }: FoldsRequest,
  { holdOut }: CalibrationWindows,
): PlannedFolds {
  const windows = keptWindows(holdOut?.windows ?? [], keepWindows);
  return { hessians, ...(windows && { windows }) };
}

/** All inputs of a stage together where there is memory for that, otherwise one after another. */
function capturesBefore(
  { stage, captures }: SequentialStage,
  folds: PlannedFolds,
  fits: (captured: CollectedInputs) => boolean,
): CollectedInputs[] {
  const one = (captured: readonly CollectedInputs[]): CollectedInputs => {
    const inputs = captured.flatMap((own) => own.inputs);
    return {
      inputs,
      hessians: folds.hessians,
      holdOutRows: captured.flatMap((own) => own.holdOutRows),
      // The first input of a block is that of attention.
      windowRows: inputs.map((input) =>
        stage.changesStates && input === stage.inputs[0] ? (folds.windows?.rows ?? 0) : 0,
      ),
    };
  };
  const all = one(captures);
  return fits(all) ? [all] : captures.map((captured) => one([captured]));
}

/** After the last stage, nothing needs hidden states. */
function advances(stages: readonly SequentialStage[], index: number): number {
  return index < stages.length - 1 ? 1 : 0;
}

function operationsOf(params: {
  readonly model: RunnableModel;
  readonly stages: readonly SequentialStage[];
  readonly folds: PlannedFolds | undefined;
  readonly cross: boolean;
  readonly hessians: boolean;
  /** Tokens of each window. */
  readonly lengths: readonly number[];
  readonly runTokens: number;
  readonly fittedTokens: number;
}): Operations {
  const { model, stages, folds, cross, hessians, lengths, runTokens, fittedTokens } = params;
  const tokens = total(lengths);
  /** The layers that each run through a stage gets to, and how many tokens it is for. */
  const runsOf = ({ stage, before = [], captures }: SequentialStage, index: number): StageRun[] => {
    const { inputs } = stage;
    // A block is run as far as the last of the inputs that are captured.
    const upTo = (captured: CollectedInputs): readonly LinearInputs[] =>
      inputs.slice(0, inputs.indexOf(captured.inputs.at(-1)!));
    return [
      ...before.map((captured) => ({ layers: upTo(captured), tokens })),
      ...captures.map((captured) => ({ layers: upTo(captured), tokens: runTokens })),
      ...(advances(stages, index) === 1 ? [{ layers: inputs, tokens: runTokens }] : []),
    ];
  };
  const linearOfStage = (stage: SequentialStage, index: number): number =>
    total(runsOf(stage, index).map((run) => run.tokens * inputOperations(model, run.layers)));
  const attention = attentionOfBlocks(model, lengths);
  // Attention comes behind its queries, which are the first layers.
  const attentionOfStage = (stage: SequentialStage, index: number): number =>
    (attention[stage.stage.block] ?? 0) *
    total(runsOf(stage, index).map((run) => (run.layers.length > 0 ? run.tokens / tokens : 0)));
  const all = stages.flatMap(({ stage }) => stage.inputs);
  // Both triangles, and as many additions as multiplications.
  const crossOperations = cross ? 2 * hessianOperations(all.filter(isComparable)) : 0;
  return {
    linear: total(stages.map(linearOfStage)) + fittedTokens * crossOperations,
    attention: total(stages.map(attentionOfStage)),
    hessians: (Number(hessians) + Number(folds?.hessians ?? false)) * fittedTokens * hessianOperations(all),
  };
}

interface StageRun {
  readonly layers: readonly LinearInputs[];
  readonly tokens: number;
}

/**
 * Of a block as it is read, and of what its layers become in F32: memory is used again for other blocks only. Where it changes before that,
 * what it becomes is in F32, too, whose memory those layers take that come next, unless it is kept to compare with.
 */
function weightBytes(
  model: RunnableModel,
  stage: Stage,
  { cross, changes }: { readonly cross: boolean; readonly changes: boolean },
): number {
  const shapes = stage.tensors.map((name) => model.tensors.get(name)?.shape ?? []);
  const elements = shapes.map((shape) => shape.reduce((product, size) => product * size, 1));
  const replaced = changes ? total(cross ? elements : [...new Set(elements)]) : 0;
  return parameterBytes(model, stage.tensors) + 4 * (total(elements) + replaced);
}

/** What the largest input takes that has been given to whoever asked. */
function givenBytes(
  inputs: readonly LinearInputs[],
  { hessians, cross }: { hessians: boolean; cross: boolean },
): number {
  const matrices = Number(hessians) + Number(cross);
  return matrices * Math.max(...inputs.map((input) => crossBytes({ ...input, matrices: 1 })));
}

function routingWarnings(inputs: readonly LinearInputs[]): QuernError[] {
  const routed = inputs.filter((input) => !isComparable(input));
  if (routed.length === 0) return [];
  const [{ name }] = routed as [LinearInputs];
  const others = routed.length === 1 ? "" : ` and ${routed.length - 1} others`;
  return [
    new QuernError(
      "CALIBRATION_ROUTING",
      `experts of ${name}${others} see other tokens in the quantized model than in the one before: there are no products of both`,
      { subject: { tensor: name } },
    ),
  ];
}

function identityOf(model: string, settings: readonly unknown[]): string {
  return createHash("sha256")
    .update(JSON.stringify([model, ...settings]))
    .digest("hex");
}

function hashesOf({ calibration, holdOut }: CalibrationWindows): (string | undefined)[] {
  return [calibration.summary.hash, holdOut?.summary.hash];
}

function lengthsOf(windows: readonly { readonly tokens: Int32Array }[]): number[] {
  return windows.map((window) => window.tokens.length);
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
