import type { ElementwiseFunction } from "./kernels.ts";
import type { ModelHyperparameters } from "./plan/model-hyperparameters.ts";

/** Function of a feed-forward network; "swiglu-oai" is the clamped one of gpt-oss. */
export type Activation = Exclude<ElementwiseFunction, "sigmoid"> | "swiglu-oai";

/** What may differ from block to block. */
export interface BlockFacts {
  readonly hyperparameters: ModelHyperparameters;
  /** Number of the block. */
  readonly layer: number;
}

/** Where the norms of a part of the block stand: names of modules, of which those count that the block has. */
export interface NormPlaces {
  /** Before the part; the first that there is. */
  readonly before: readonly string[];
  /** After the part, before its result is added to the residual stream. */
  readonly after?: string;
  /** Of the residual stream, after the result has been added. */
  readonly residual?: string;
}

/** Rotary positions. */
export interface RopeRecord {
  /**
   * Which elements of a head turn together in the row order of GGUF: neighbours, or one of the first half of the rotated ones
   * with one of the second (llama-model.cpp, `llama_model_rope_type`).
   */
  readonly layout: "interleaved" | "halves";
  /** Whether a block rotates at all. Default: all do. */
  readonly rotates?: (facts: BlockFacts & { readonly slides: boolean }) => boolean;
  /** Blocks with a sliding window that use the plain frequencies, of this base where the metadata have no other. */
  readonly unscaledWindows?: { readonly base?: number };
}

export interface AttentionRecord extends Partial<NormPlaces> {
  /** "latent": DeepSeek's, in which every head attends to the same compressed keys and values. @default "heads" */
  readonly kind?: "heads" | "latent";
  /** Absent: positions are part of the embedding. */
  readonly rope?: RopeRecord;
  /** Norms of queries and keys: one weight for all heads, a weight for each, or over all elements at once. @default "shared" */
  readonly queryKeyNorm?: "shared" | "per-head" | "whole";
  /** Factor of the scores where the metadata have no `attention.scale`. Default: 1 / sqrt(head size). */
  readonly scale?: (hyperparameters: ModelHyperparameters) => number;
  /** In windowed models, every n-th block sees everything. Default: none does. */
  readonly fullEvery?: number;
}

/** How experts are chosen and weighted; the metadata count before this (`expert_gating_func`, `expert_weights_norm`). */
export interface ExpertsRecord {
  /** What becomes of the router's results: over all experts, each for itself, or a softmax over those chosen. */
  readonly gating: "softmax" | "sigmoid" | "selected-softmax";
  /** Whether the weights of the chosen ones are made to add up to 1. */
  readonly normalized: boolean;
}

/**
 * How a family computes hidden states, in terms of the GGUF file: names of tensors, orders of rows and keys are those of
 * llama.cpp, so that a checkpoint on its way to GGUF and a finished file are computed alike. What is not said here follows
 * from which tensors there are: biases, norms, tied outputs, fused projections, experts.
 */
export interface ForwardRecord {
  /** Kind of the norms; LayerNorm has biases where the model has them. */
  readonly norm: "rms" | "layer";
  readonly attention: AttentionRecord;
  readonly feedForward: Partial<NormPlaces> & {
    /** Where the metadata have no `feed_forward.activation`. */
    readonly activation: Activation;
  };
  readonly experts?: ExpertsRecord;
  /** Whether attention and feed-forward read the same residual stream, side by side. Default: in turn. */
  readonly parallel?: (hyperparameters: ModelHyperparameters) => boolean;
  /** Factor of the embeddings where the metadata have no `embedding_scale`. @default 1 */
  readonly embeddingScale?: (hyperparameters: ModelHyperparameters) => number;
  /** What `logit_scale` does with the logits. @default "multiplies" */
  readonly logitScale?: "multiplies" | "divides";
}
