import type { Architecture } from "./architecture.ts";
import { attentionHeads } from "./hyperparameters.ts";
import { llamaBlock, llamaVocabulary, LLAMA3_ROPE_FACTORS, LLAMA_HYPERPARAMETERS } from "./llama.ts";
import { decoderModel } from "./modules.ts";

/** Mistral, which is a Llama to llama.cpp (conversion/llama.py, `LlamaModel`). */
export const mistral: Architecture = {
  name: "llama",
  classes: ["MistralForCausalLM"],
  defaults: { num_key_value_heads: 8, rms_norm_eps: 1e-6, rope_theta: 10_000, tie_word_embeddings: false },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: LLAMA_HYPERPARAMETERS,
  vocabulary: llamaVocabulary,
  generated: [LLAMA3_ROPE_FACTORS],
  model: decoderModel(),
  block: llamaBlock(),
};
