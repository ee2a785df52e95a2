import type { VocabularyHints } from "../vocabulary/vocabulary-hints.ts";
import type { Architecture, GeneratedTensor, Hyperparameter, Module } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, COMMON_HYPERPARAMETERS, headDimension, uint32 } from "./hyperparameters.ts";
import { llama3RopeFactors } from "./llama3-rope-factors.ts";
import { decoderModel, gatedFeedForward, LAYER, norm, selfAttention } from "./modules.ts";
import { interleaveHeadHalves } from "./row-orders.ts";
import { LLAMA_COMPUTATION } from "./computation-keys.ts";
import type { ForwardRecord } from "../forward/record.ts";

/** Code Llama is known by its vocabulary of 32016 tokens, Granite's Llama models by theirs (conversion/llama.py, `set_vocab`). */
const CODE_LLAMA_VOCABULARY = 32_016;
const CODE_LLAMA_END_OF_TURN = 32_010;
const GRANITE_VOCABULARY = 49_152;

/** Llama's three kinds of tokenizer. */
export function llamaVocabulary(config: Config): VocabularyHints {
  const vocabularySize = config.integer("vocab_size");
  return {
    tokenizers: ["sentencepiece", "sentencepiece-json", "byte-level-bpe"],
    vocabularySize,
    copiesAddPrefixSpace: true,
    ...(vocabularySize === CODE_LLAMA_VOCABULARY && { endOfTurnTokenId: CODE_LLAMA_END_OF_TURN }),
    ...(vocabularySize === GRANITE_VOCABULARY && { addBosToken: false }),
  };
}

/** Keys that Llama and its descendants write after the common ones. */
export const LLAMA_HYPERPARAMETERS: readonly Hyperparameter[] = [
  ...COMMON_HYPERPARAMETERS,
  uint32("vocab_size", (config) => config.integer("vocab_size")),
  uint32("rope.dimension_count", headDimension),
];

/** Where the configuration asks for the frequencies of Llama 3.1. */
export const LLAMA3_ROPE_FACTORS: GeneratedTensor = { name: "rope_freqs.weight", values: llama3RopeFactors };

export function keyValueHeads(config: Config): number {
  return config.optionalInteger("num_key_value_heads") ?? attentionHeads(config);
}

/** Norms and attention of Llama and its descendants, with rows of Q and K in llama.cpp's order. */
export function llamaAttention(): Module[] {
  return [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({
      input: "attn_norm",
      q: interleaveHeadHalves(attentionHeads),
      k: interleaveHeadHalves(keyValueHeads),
    }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
  ];
}

export function llamaBlock(): Module[] {
  return [...llamaAttention(), ...gatedFeedForward({ input: "ffn_norm" })];
}

/** How Llama and its descendants compute; llama.cpp's order of rows makes neighbours of what is rotated together. */
export const LLAMA_FORWARD: ForwardRecord = {
  norm: "rms",
  attention: { rope: { layout: "interleaved" } },
  feedForward: { activation: "silu" },
  experts: { gating: "softmax", normalized: true },
};

/** Llama 1 to 3 (conversion/llama.py, `LlamaModel`). */
export const llama: Architecture = {
  name: "llama",
  classes: ["LlamaForCausalLM", "LLaMAForCausalLM"],
  defaults: { rms_norm_eps: 1e-6, rope_theta: 10_000, tie_word_embeddings: false },
  derived: { num_key_value_heads: attentionHeads, head_dim: headDimension },
  hyperparameters: LLAMA_HYPERPARAMETERS,
  vocabulary: llamaVocabulary,
  generated: [LLAMA3_ROPE_FACTORS],
  model: decoderModel(),
  block: llamaBlock(),
  forward: LLAMA_FORWARD,
  computation: LLAMA_COMPUTATION,
};
