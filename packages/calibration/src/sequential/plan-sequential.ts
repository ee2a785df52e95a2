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
import { layerWarnings } from "../planning/layer-warnings.ts";
import { type Stage, stagesOf } from "../stage.ts";
import { divideSequentialMemory } from "./divide-sequential-memory.ts";
import type { SequentialMode, SequentialPlan, SequentialStage } from "./plan.ts";

export interface PlanSequentialParams {
  readonly model: RunnableModel;
  readonly windows: CalibrationWindows;
  /** @default "true-sequential" */
  readonly mode?: SequentialMode;
  /** Whether X^T X can be asked for. @default true */
  readonly hessians?: boolean;
  /** Whether (X_f - X)^T X can be asked for, which takes twice the time and the memory. @default false */
  readonly cross?: boolean;
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

/**
 * Plans a run of a model that goes along with its quantization: in which memory, how often blocks are run, and how long that takes. No
 * weights are read.
 *
 * @throws QuernError `CALIBRATION_MEMORY` for a budget that is too small (the message has the least), `PLAN_THREADS`, `OUTPUT_*` for a
 * folder that cannot take temporary files, `KERNEL_*`
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

  const stages = stagesOf(model)
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
  const memory = divideSequentialMemory({
    budget: memoryBudget(params.memory),
    captures: stages.flatMap(({ captures }) => captures),
    cross,
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
  const operations = operationsOf({ model, stages, cross, hessians, lengths, runTokens, fittedTokens });
  const all = stages.flatMap(({ stage }) => stage.inputs);
  return {
    model,
    windows,
    mode,
    hessians,
    cross,
    tokens,
    stages,
    work: runTokens * total(stages.map(({ captures }, index) => captures.length + advances(stages, index))),
    temporary,
    temporaryBytes,
    identity: identityOf(model.identity, [mode, hessians, cross, ...hashesOf(windows)]),
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
      weights: Math.max(...stages.map(({ stage }) => weightBytes(model, stage))),
      buffers: memory.used + givenBytes(all, { hessians, cross }),
    }),
    warnings: [
      ...windows.warnings,
      ...(hessians ? layerWarnings({ tokens: fittedTokens, blocks: model.inputs }) : []),
      ...(cross ? routingWarnings(all) : []),
    ],
  };
}

/** After the last stage, nothing needs hidden states. */
function advances(stages: readonly SequentialStage[], index: number): number {
  return index < stages.length - 1 ? 1 : 0;
}

function operationsOf(params: {
  readonly model: RunnableModel;
  readonly stages: readonly SequentialStage[];
  readonly cross: boolean;
  readonly hessians: boolean;
  /** Tokens of each window. */
  readonly lengths: readonly number[];
  readonly runTokens: number;
  readonly fittedTokens: number;
}): Operations {
  const { model, stages, cross, hessians, lengths, runTokens, fittedTokens } = params;
  /** The layers that each run through a stage gets to. */
  const runsOf = ({ stage, captures }: SequentialStage, index: number): (readonly LinearInputs[])[] => {
    const { inputs } = stage;
    // A block is run as far as the last of the inputs that are captured.
    const before = captures.map((captured) => inputs.slice(0, inputs.indexOf(captured.inputs.at(-1)!)));
    return [...before, ...(advances(stages, index) === 1 ? [inputs] : [])];
  };
  const ofStage = (stage: SequentialStage, index: number): number =>
    total(runsOf(stage, index).map((layers) => inputOperations(model, layers)));
  const attention = attentionOfBlocks(model, lengths);
  // Attention comes behind its queries, which are the first layers.
  const attentionOfStage = (stage: SequentialStage, index: number): number =>
    (attention[stage.stage.block] ?? 0) * runsOf(stage, index).filter((layers) => layers.length > 0).length;
  const all = stages.flatMap(({ stage }) => stage.inputs);
  // Both triangles, and as many additions as multiplications.
  const crossOperations = cross ? 2 * hessianOperations(all.filter(isComparable)) : 0;
  return {
    linear: runTokens * total(stages.map(ofStage)) + fittedTokens * crossOperations,
    attention: (runTokens / total(lengths)) * total(stages.map(attentionOfStage)),
    hessians: hessians ? fittedTokens * hessianOperations(all) : 0,
  };
}

/** Of a block as it is read, and of what its layers become in F32: memory is used again for other blocks only. */
function weightBytes(model: RunnableModel, stage: Stage): number {
  const replaced = stage.tensors.map((name) => model.tensors.get(name)?.shape ?? []);
  const elements = replaced.map((shape) => shape.reduce((product, size) => product * size, 1));
  return parameterBytes(model, stage.tensors) + 4 * total(elements);
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
