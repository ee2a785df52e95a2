import type { Architecture } from "./architecture.ts";
import { attentionHeads, float32 } from "./hyperparameters.ts";
import {
  llamaBlock,
  llamaVocabulary,
  LLAMA3_ROPE_FACTORS,
  LLAMA_FORWARD,
  LLAMA_HYPERPARAMETERS,
} from "./llama.ts";
import { decoderModel } from "./modules.ts";
import type { Config } from "./config.ts";
import { LLAMA_COMPUTATION } from "./computation-keys.ts";

/** A multiplier of 0 is one that the configuration does not use. */
const multiplier =
  (key: string) =>
  (config: Config): number | undefined =>
    config.optionalNumber(key) || undefined;

/** Granite 3: Llama with multipliers (conversion/granite.py, `GraniteModel`). */
export const granite: Architecture = {
  name: "granite",
  classes: ["GraniteForCausalLM"],
  defaults: {
    attention_multiplier: 1,
    embedding_multiplier: 1,
    logits_scaling: 1,
    residual_multiplier: 1,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: false,
  },
  derived: { num_key_value_heads: attentionHeads },
  // Heads are always an even share of the hidden units.
  overrides: { head_dim: null },
  hyperparameters: [
    ...LLAMA_HYPERPARAMETERS,
    float32("attention.scale", multiplier("attention_multiplier")),
    float32("embedding_scale", multiplier("embedding_multiplier")),
    float32("residual_scale", multiplier("residual_multiplier")),
    float32("logit_scale", multiplier("logits_scaling")),
  ],
  vocabulary: llamaVocabulary,
  generated: [LLAMA3_ROPE_FACTORS],
  model: decoderModel(),
  block: llamaBlock(),
  forward: { ...LLAMA_FORWARD, logitScale: "divides" },
  computation: LLAMA_COMPUTATION,
};
