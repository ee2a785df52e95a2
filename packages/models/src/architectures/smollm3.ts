import type { Architecture } from "./architecture.ts";
import { attentionHeads } from "./hyperparameters.ts";
import { llamaBlock, llamaVocabulary, LLAMA3_ROPE_FACTORS, LLAMA_HYPERPARAMETERS } from "./llama.ts";
import { decoderModel } from "./modules.ts";

/** SmolLM 3: Llama with blocks without positions, which llama.cpp knows by itself (conversion/llama.py, `SmolLM3Model`). */
export const smollm3: Architecture = {
  name: "smollm3",
  classes: ["SmolLM3ForCausalLM"],
  defaults: { rms_norm_eps: 1e-6, rope_theta: 2_000_000, tie_word_embeddings: true },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: LLAMA_HYPERPARAMETERS,
  vocabulary: llamaVocabulary,
  generated: [LLAMA3_ROPE_FACTORS],
  model: decoderModel(),
  block: llamaBlock(),
};
