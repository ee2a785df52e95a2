import type { VocabularyHints } from "../vocabulary/vocabulary-hints.ts";
import type { Architecture, Hyperparameter } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, COMMON_HYPERPARAMETERS, uint32 } from "./hyperparameters.ts";
import { decoderModel, gatedFeedForward, LAYER, norm, selfAttention } from "./modules.ts";
import { COMMON_COMPUTATION, QWEN_WINDOW } from "./computation-keys.ts";
import type { ForwardRecord } from "../forward/record.ts";

/** Values that the configuration classes of Qwen fill in. */
export const QWEN_DEFAULTS: NonNullable<Architecture["defaults"]> = {
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: false,
};
export const QWEN_DERIVED: NonNullable<Architecture["derived"]> = { num_key_value_heads: attentionHeads };

/** Embedding models of the family come with a pooling. */
export const QWEN_HYPERPARAMETERS: readonly Hyperparameter[] = [
  ...COMMON_HYPERPARAMETERS,
  uint32("pooling_type", (_config, { pooling }) => pooling),
];

export function qwenVocabulary(config: Config): VocabularyHints {
  return { tokenizers: ["sentencepiece", "byte-level-bpe"], vocabularySize: config.integer("vocab_size") };
}

export const QWEN_FORWARD: ForwardRecord = {
  norm: "rms",
  attention: { rope: { layout: "halves" } },
  feedForward: { activation: "silu" },
};
export const QWEN_COMPUTATION: readonly Hyperparameter[] = [...COMMON_COMPUTATION, ...QWEN_WINDOW];

/** Qwen 2 and 2.5 (conversion/qwen.py, `Qwen2Model`). */
export const qwen2: Architecture = {
  name: "qwen2",
  classes: ["Qwen2ForCausalLM"],
  defaults: QWEN_DEFAULTS,
  derived: QWEN_DERIVED,
  hyperparameters: QWEN_HYPERPARAMETERS,
  vocabulary: qwenVocabulary,
  pooling: true,
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm", hasBias: "always" }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
    ...gatedFeedForward({ input: "ffn_norm" }),
  ],
  forward: QWEN_FORWARD,
  computation: QWEN_COMPUTATION,
};
