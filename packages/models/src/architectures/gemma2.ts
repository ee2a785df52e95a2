import { add } from "../expressions/operations/add.ts";
import type { VocabularyHints } from "../vocabulary/vocabulary-hints.ts";
import type { Architecture, Module } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, fileType, float32, uint32 } from "./hyperparameters.ts";
import { embedding, gatedFeedForward, LAYER, norm, selfAttention } from "./modules.ts";
import { COMMON_COMPUTATION, QUERY_SCALAR } from "./computation-keys.ts";
import type { ForwardRecord } from "../forward/record.ts";
import type { ModelHyperparameters } from "../forward/plan/model-hyperparameters.ts";

/** A norm whose stored weight lacks the 1 that the model adds to it (transformers, `Gemma2RMSNorm`). */
export function gemmaNorm(name: string, hf: string, options: Partial<Module> = {}): Module {
  const weight = [
    { from: [`${hf}.weight`], make: ([tensor]) => add(tensor!.expression, 1) },
  ] satisfies Module["weight"];
  return norm(name, hf, { weight, ...options });
}

/** Norms before and after attention and feed-forward. */
export function gemmaBlock(): Module[] {
  return [
    gemmaNorm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm" }),
    gemmaNorm("post_attention_norm", `${LAYER}.post_attention_layernorm`, { input: "attn_output" }),
    gemmaNorm("ffn_norm", `${LAYER}.pre_feedforward_layernorm`),
    ...gatedFeedForward({ input: "ffn_norm" }),
    gemmaNorm("post_ffw_norm", `${LAYER}.post_feedforward_layernorm`, { input: "ffn_down" }),
  ];
}

export function gemmaVocabulary(config: Config): VocabularyHints {
  return {
    tokenizers: ["sentencepiece"],
    vocabularySize: config.integer("vocab_size"),
    addSpacePrefix: false,
  };
}

/** The output is always tied to the embedding; some tools write it all the same. */
export const GEMMA_IGNORED: readonly RegExp[] = [/^lm_head\.weight$/];

/**
 * Factor of the scores in files that do not say it: only the 27B models, known by their number of blocks, take the width of the
 * hidden states per head (gemma2.cpp, gemma3.cpp).
 */
export function gemmaScale(params: {
  readonly hyperparameters: ModelHyperparameters;
  readonly blocksOf27B: number;
}): number {
  const { hyperparameters, blocksOf27B } = params;
  const perHead =
    hyperparameters.integer("embedding_length") / hyperparameters.integer("attention.head_count");
  const is27B = hyperparameters.integer("block_count") === blocksOf27B;
  return (is27B ? perHead : hyperparameters.integer("attention.key_length")) ** -0.5;
}

/** Norms on both sides of attention and feed-forward, and scaled embeddings. */
export const GEMMA_FORWARD: ForwardRecord = {
  norm: "rms",
  attention: { after: "post_attention_norm" },
  feedForward: { after: "post_ffw_norm", activation: "gelu-tanh" },
  embeddingScale: (hyperparameters) => Math.sqrt(hyperparameters.integer("embedding_length")),
};

/** Gemma 2 (conversion/gemma.py, `Gemma2Model`). */
export const gemma2: Architecture = {
  name: "gemma2",
  classes: ["Gemma2ForCausalLM"],
  defaults: {
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    head_dim: 256,
    rms_norm_eps: 1e-6,
    sliding_window: 4096,
  },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: [
    uint32("context_length", (config) => config.integer("max_position_embeddings")),
    uint32("embedding_length", (config) => config.integer("hidden_size")),
    uint32("block_count", (config) => config.integer("num_hidden_layers")),
    uint32("feed_forward_length", (config) => config.integer("intermediate_size")),
    uint32("attention.head_count", (config) => config.integer("num_attention_heads")),
    uint32("attention.head_count_kv", (config) => config.integer("num_key_value_heads")),
    float32("attention.layer_norm_rms_epsilon", (config) => config.number("rms_norm_eps")),
    uint32("attention.key_length", (config) => config.integer("head_dim")),
    uint32("attention.value_length", (config) => config.integer("head_dim")),
    fileType,
    float32("attn_logit_softcapping", (config) => config.number("attn_logit_softcapping")),
    float32("final_logit_softcapping", (config) => config.number("final_logit_softcapping")),
    uint32("attention.sliding_window", (config) => config.integer("sliding_window")),
  ],
  vocabulary: gemmaVocabulary,
  model: [embedding("model.embed_tokens"), gemmaNorm("output_norm", "model.norm")],
  block: gemmaBlock(),
  ignored: GEMMA_IGNORED,
  forward: {
    ...GEMMA_FORWARD,
    attention: {
      ...GEMMA_FORWARD.attention,
      rope: { layout: "halves" },
      fullEvery: 2,
      scale: (hyperparameters) => gemmaScale({ hyperparameters, blocksOf27B: 46 }),
    },
  },
  computation: [...COMMON_COMPUTATION, QUERY_SCALAR],
};
