import type { Architecture } from "./architecture.ts";
import { attentionHeads, bools, COMMON_HYPERPARAMETERS, uint32 } from "./hyperparameters.ts";
import { decoderModel, gatedFeedForward, LAYER, norm, selfAttention } from "./modules.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

const DEFAULTS = { rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: false };

/** OLMo 2: norms after attention and feed-forward, none before (conversion/olmo.py, `Olmo2Model`). */
export const olmo2: Architecture = {
  name: "olmo2",
  classes: ["Olmo2ForCausalLM"],
  defaults: DEFAULTS,
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    uint32("attention.sliding_window", (config) => config.optionalInteger("sliding_window")),
    bools("attention.sliding_window_pattern", (config) => {
      if (config.optionalInteger("sliding_window") === undefined) return undefined;
      const types = config.optionalStrings("layer_types");
      const layers = Array.from({ length: config.integer("num_hidden_layers") }, (_, layer) => layer);
      // Unless it says otherwise, every fourth block of OLMo 3 sees everything.
      return (
        types?.map((type) => type === "sliding_attention") ?? layers.map((layer) => (layer + 1) % 4 !== 0)
      );
    }),
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: decoderModel(),
  block: [
    ...selfAttention(),
    norm("attn_q_norm", `${LAYER}.self_attn.q_norm`, { input: "attn_q" }),
    norm("attn_k_norm", `${LAYER}.self_attn.k_norm`, { input: "attn_k" }),
    norm("post_attention_norm", `${LAYER}.post_attention_layernorm`, { input: "attn_output" }),
    ...gatedFeedForward({}),
    norm("post_ffw_norm", `${LAYER}.post_feedforward_layernorm`, { input: "ffn_down" }),
  ],
  forward: {
    norm: "rms",
    attention: {
      after: "post_attention_norm",
      rope: { layout: "halves", unscaledWindows: {} },
      queryKeyNorm: "whole",
      fullEvery: 4,
    },
    feedForward: { after: "post_ffw_norm", activation: "silu" },
  },
  computation: COMMON_COMPUTATION,
};

/** OLMo 3, which is a 2 with sliding windows to llama.cpp. */
export const olmo3: Architecture = {
  ...olmo2,
  classes: ["Olmo3ForCausalLM"],
  defaults: { ...DEFAULTS, sliding_window: 4096 },
};
