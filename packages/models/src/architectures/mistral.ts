import type { Architecture } from "./architecture.ts";
import { attentionHeads } from "./hyperparameters.ts";
import {
  llamaBlock,
  llamaVocabulary,
  LLAMA3_ROPE_FACTORS,
  LLAMA_FORWARD,
  LLAMA_HYPERPARAMETERS,
} from "./llama.ts";
import { decoderModel } from "./modules.ts";
import { LLAMA_COMPUTATION, slidingWindow } from "./computation-keys.ts";

/** Of `MistralConfig`. */
const DEFAULT_WINDOW = 4096;

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
  forward: LLAMA_FORWARD,
  computation: [
    ...LLAMA_COMPUTATION,
    slidingWindow((config) =>
      config.has("sliding_window") ? config.optionalInteger("sliding_window") : DEFAULT_WINDOW,
    ),
  ],
};
