import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { ARCHITECTURES } from "../../architectures/registry.ts";
import type { BlockGraph, EmbeddingGraph, ForwardGraph, OutputGraph } from "../graph.ts";
import type { InputQuantization } from "../input-quantization.ts";
import type { ForwardRecord } from "../record.ts";
import { ModelHyperparameters } from "./model-hyperparameters.ts";
import { ModelTensors } from "./model-tensors.ts";
import { planAttention } from "./plan-attention.ts";
import { normEpsilon, type PlanContext, planNorm } from "./plan-context.ts";
import { planFeedForward } from "./plan-feed-forward.ts";

/** A model to be run, as `forwardModel` makes it from a description. */
export interface ForwardModel {
  /** `general.architecture`. */
  readonly architecture: string;
  readonly metadata: GgufMetadata;
  /** Row-major shapes of all tensors by GGUF name. */
  readonly tensors: ReadonlyMap<string, readonly number[]>;
  /** Of linear layers whose inputs are quantized, by GGUF name without ".weight". @default none are */
  readonly inputs?: ReadonlyMap<string, InputQuantization>;
}

/**
 * Settles how a model computes its hidden states, before a weight is read.
 *
 * @throws QuernError
 * - `FORWARD_UNSUPPORTED` an architecture, or something in it, that is not computed; also a tensor that the plan has no use for,
 *   since the result would not be that of the model
 * - `FORWARD_METADATA` a key that is missing or of no use
 * - `FORWARD_TENSOR_MISSING`, `FORWARD_TENSOR_INVALID` a tensor that is missing or of another shape
 */
export function planForward({ architecture, metadata, tensors: shapes, inputs }: ForwardModel): ForwardGraph {
  const record = recordOf(architecture);
  const hyperparameters = new ModelHyperparameters(architecture, metadata);
  const tensors = new ModelTensors(shapes, inputs);
  const width = hyperparameters.integer("embedding_length");
  const epsilon = normEpsilon(record, hyperparameters);
  const context: Omit<PlanContext, "model"> = { record, hyperparameters, width, epsilon };

  const blocks: BlockGraph[] = [];
  for (let layer = 0; layer < hyperparameters.integer("block_count"); layer++) {
    blocks.push(planBlock({ ...context, model: tensors.section("") }, layer, tensors));
  }
  const graph = {
    architecture,
    embedding: planEmbedding({ ...context, model: tensors.section("") }),
    blocks,
    output: planOutput({ ...context, model: tensors.section("") }),
  };
  const [unused] = tensors.unused;
  if (unused !== undefined) {
    throw new QuernError(
      "FORWARD_UNSUPPORTED",
      `the forward pass of the architecture ${architecture} has no use for the tensor "${unused}"`,
      { subject: { tensor: unused } },
    );
  }
  return graph;
}

function recordOf(architecture: string): ForwardRecord {
  const known = ARCHITECTURES.filter(({ forward }) => forward !== undefined);
  const found = known.find(({ name }) => name === architecture)?.forward;
  if (found !== undefined) return found;
  const names = [...new Set(known.map(({ name }) => name))].join(", ");
  throw new QuernError(
    "FORWARD_UNSUPPORTED",
    `the hidden states of the architecture ${architecture} cannot be computed; those of these can: ${names}`,
    { subject: { key: "general.architecture" } },
  );
}

function planBlock(context: PlanContext, layer: number, tensors: ModelTensors): BlockGraph {
  const { record, hyperparameters, model } = context;
  const block = tensors.section(`blk.${layer}.`);
  const part = { ...context, layer, block };
  return {
    layer,
    attention: planAttention(part),
    feedForward: planFeedForward(part),
    parallel: record.parallel?.(hyperparameters) ?? false,
    residualScale: hyperparameters.optionalNumber("residual_scale") || 1,
    tensors: [...block.used, ...model.used],
  };
}

function planEmbedding(context: PlanContext): EmbeddingGraph {
  const { record, hyperparameters, model, width } = context;
  const { inputs, outputs } = model.linear("token_embd", { inputs: width });
  const positions = model.has("position_embd") ? model.linear("position_embd", { inputs: width }) : undefined;
  const hasNorm = model.has("token_embd_norm");
  return {
    module: "token_embd",
    width: inputs,
    tokens: outputs,
    scale:
      (hyperparameters.optionalNumber("embedding_scale") || undefined) ??
      record.embeddingScale?.(hyperparameters) ??
      1,
    ...(positions && { positions: { module: positions.module, count: positions.outputs } }),
    ...(model.has("token_types") && { tokenTypes: model.module("token_types") }),
    ...(hasNorm && { norm: planNorm(context, model, "token_embd_norm") }),
    tensors: model.used,
  };
}

function planOutput(context: PlanContext): OutputGraph {
  const { record, hyperparameters, model, width } = context;
  const isEncoder = !model.has("output_norm");
  const scale = hyperparameters.optionalNumber("logit_scale") || 1;
  const softCap = hyperparameters.optionalNumber("final_logit_softcapping");
  return {
    ...(!isEncoder && {
      norm: planNorm(context, model, "output_norm"),
      projection: model.linear(model.has("output") ? "output" : "token_embd", { inputs: width }),
    }),
    scale: record.logitScale === "divides" ? 1 / scale : scale,
    ...(softCap && { softCap }),
    tensors: model.used,
  };
}
