import type { Architecture } from "./architecture.ts";
import { attentionHeads, COMMON_HYPERPARAMETERS } from "./hyperparameters.ts";
import { embedding, LAYER, layerNorm, linear, output, selfAttention } from "./modules.ts";
import { COMMON_COMPUTATION, slidingWindow } from "./computation-keys.ts";

/** StarCoder 2 (conversion/starcoder.py, `StarCoder2Model`). */
export const starcoder2: Architecture = {
  name: "starcoder2",
  classes: ["Starcoder2ForCausalLM"],
  defaults: { norm_epsilon: 1e-5, rope_theta: 10_000, tie_word_embeddings: true },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: COMMON_HYPERPARAMETERS,
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: [embedding("model.embed_tokens"), layerNorm("output_norm", "model.norm"), output("lm_head")],
  block: [
    layerNorm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm" }),
    layerNorm("ffn_norm", `${LAYER}.post_attention_layernorm`),
    linear("up", "ffn_up", `${LAYER}.mlp.c_fc`, { input: "ffn_norm" }),
    linear("down", "ffn_down", `${LAYER}.mlp.c_proj`, { input: "ffn_up" }),
  ],
  forward: {
    norm: "layer",
    attention: { rope: { layout: "halves" } },
    feedForward: { activation: "gelu-tanh" },
  },
  computation: [...COMMON_COMPUTATION, slidingWindow((config) => config.optionalInteger("sliding_window"))],
};
