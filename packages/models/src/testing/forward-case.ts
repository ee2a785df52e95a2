import { readFileSync } from "node:fs";
import type { TensorInfo } from "@quern/tensor";
import { describeArchitecture } from "../architectures/describe-architecture.ts";
import { fillIn, readConfig } from "../architectures/read-config.ts";
import { architectureOf } from "../architectures/registry.ts";
import { describeModel } from "../describe-model.ts";
import type { TensorReader } from "../expressions/expression.ts";
import { rowShape } from "../expressions/row-shape.ts";
import type { ModelTensor } from "../model.ts";
import type { FoldableModel } from "../folding/described-weights.ts";
import { embedTokens } from "../forward/evaluate/embed-tokens.ts";
import { evaluateBlock } from "../forward/evaluate/evaluate-block.ts";
import type { Evaluation } from "../forward/evaluate/evaluation.ts";
import { outputLogits } from "../forward/evaluate/output-logits.ts";
import { forwardModel } from "../forward/forward-model.ts";
import { loadParameters } from "../forward/load-parameters.ts";
import { type ForwardModel, planForward } from "../forward/plan/plan-forward.ts";
import { goldenCheckpoint } from "./golden-checkpoint.ts";
import {
  MADE_UP_VOCABULARY,
  madeUpCheckpoint,
  madeUpFiles,
  madeUpTensors,
  madeUpWeights,
} from "./made-up-checkpoint.ts";
import { referenceKernels } from "./reference-kernels.ts";

/** Results of transformers (fixtures/forward/README.md). */
export const FORWARD = new URL("../../../../fixtures/forward/", import.meta.url);

/** What a case of fixtures/forward holds. */
export interface ForwardCase {
  set: "golden" | "converter";
  checkpoint: string;
  edits: Record<string, unknown>;
  tokens: number[];
  width: number;
  positions: number[];
  columns: number[];
  values: number[][];
  norms: number[];
  hidden_norms: number[];
}

export function forwardCase(name: string): ForwardCase {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FORWARD), "utf8")) as ForwardCase;
}

/** A model and its weights. */
export interface LoadedCase {
  readonly model: ForwardModel;
  readonly tensors: readonly ModelTensor[];
  readonly reader: TensorReader;
}

/** One with what it was made from. */
export interface LoadedCheckpoint extends LoadedCase {
  readonly description: FoldableModel;
  /** Tensors of the checkpoint. */
  readonly sources: ReadonlyMap<string, TensorInfo>;
}

export async function loadCase(
  given: Pick<ForwardCase, "set" | "checkpoint" | "edits">,
): Promise<LoadedCheckpoint> {
  if (given.set === "converter") return loadMadeUp(given);
  const { input, reader } = await goldenCheckpoint(given.checkpoint, given.edits);
  const description = await describeModel(input);
  const { tensors } = description;
  return { model: forwardModel(description), tensors, reader, description, sources: input.tensors };
}

async function loadMadeUp({
  checkpoint,
  edits,
}: Pick<ForwardCase, "checkpoint" | "edits">): Promise<LoadedCheckpoint> {
  const made = madeUpCheckpoint(checkpoint);
  const infos = inFloat32(madeUpTensors(made));
  const { config } = await readConfig(madeUpFiles({ ...made, config: { ...made.config, ...edits } }));
  const architecture = architectureOf(config);
  const description = describeArchitecture({
    architecture,
    facts: { config: fillIn(config, architecture), vocabularySize: MADE_UP_VOCABULARY },
    tensors: infos,
  });
  const reader: TensorReader = {
    info: (name) => infos.get(name)!,
    async readRows(name, start, count) {
      const info = infos.get(name)!;
      const { columns } = rowShape(info);
      const values = scaled(madeUpWeights(info), info.shape).subarray(
        start * columns,
        (start + count) * columns,
      );
      return new Uint8Array(values.slice().buffer);
    },
  };
  const described = { architecture: architecture.name, ...description };
  const { tensors } = description;
  return { model: forwardModel(described), tensors, reader, description: described, sources: infos };
}

function inFloat32(infos: ReadonlyMap<string, TensorInfo>): Map<string, TensorInfo> {
  return new Map([...infos].map(([name, info]) => [name, { ...info, type: "F32" }]));
}

/** Matrices and vectors in the range of a trained model's. */
function scaled(weights: Float32Array, shape: readonly number[]): Float32Array {
  return weights.map((weight) => (shape.length === 1 ? 1 + weight / 16 : weight / 16));
}

/** What a forward pass gives. */
export interface ForwardResult {
  /** tokens x width */
  readonly output: Float32Array;
  /** Hidden states before each block and after the last, tokens x width each. */
  readonly hidden: readonly Float32Array[];
}

/** Runs a sequence through a model, block by block. */
export async function runCase(params: {
  loaded: LoadedCase;
  tokens: readonly number[];
  kernels?: Evaluation["kernels"];
  observe?: Evaluation["observe"];
}): Promise<ForwardResult> {
  const { loaded, tokens, kernels = referenceKernels, observe } = params;
  const { embedding, blocks, output } = planForward(loaded.model);
  const tensors = new Map(loaded.tensors.map((tensor) => [tensor.name, tensor]));
  const evaluation = async (names: readonly string[]): Promise<Evaluation> => ({
    kernels,
    parameters: await loadParameters({ tensors, reader: loaded.reader, names }),
    ...(observe !== undefined && { observe }),
  });
  const first = embedTokens({ graph: embedding, evaluation: await evaluation(embedding.tensors), tokens });
  const hidden = [first];
  for (const graph of blocks) {
    hidden.push(
      evaluateBlock({
        graph,
        evaluation: await evaluation(graph.tensors),
        hidden: hidden.at(-1)!,
        tokens: tokens.length,
      }),
    );
  }
  const last = { hidden: hidden.at(-1)!, rows: tokens.length };
  return {
    output: outputLogits({ graph: output, evaluation: await evaluation(output.tensors), ...last }),
    hidden,
  };
}
