import type { Architecture } from "./architecture.ts";
import {
  attentionHeads,
  COMMON_HYPERPARAMETERS,
  float32,
  headDimension,
  string,
  uint32,
} from "./hyperparameters.ts";
import { decoderModel, gatedFeedForward, LAYER, norm, selfAttention } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

/** Command R7B (conversion/command_r.py, `Cohere2Model`). llama.cpp has no biases here. */
export const cohere2: Architecture = {
  name: "cohere2",
  classes: ["Cohere2ForCausalLM"],
  defaults: {
    layer_norm_eps: 1e-5,
    logit_scale: 0.0625,
    rope_theta: 10_000,
    sliding_window: 4096,
    tie_word_embeddings: true,
  },
  derived: { num_key_value_heads: attentionHeads, head_dim: headDimension },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    float32("logit_scale", (config) => config.number("logit_scale")),
    uint32("attention.sliding_window", (config) => config.integer("sliding_window")),
    uint32("vocab_size", (config) => config.integer("vocab_size")),
    uint32("rope.dimension_count", (config) => {
      const share =
        config.optionalNumber("rotary_pct") ??
        ropeParameters(config).full.optionalNumber("partial_rotary_factor") ??
        1;
      return Math.trunc(share * Math.floor(config.integer("hidden_size") / attentionHeads(config)));
    }),
    string("rope.scaling.type", () => "none"),
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm", hasBias: "never", outputHasBias: "never" }),
    ...gatedFeedForward({ input: "attn_norm", hasBias: "never" }),
  ],
  forward: {
    norm: "layer",
    // Blocks that see everything have no positions.
    attention: { rope: { layout: "interleaved", rotates: ({ slides }) => slides }, fullEvery: 4 },
    feedForward: { before: ["attn_norm"], activation: "silu" },
    parallel: () => true,
  },
  computation: COMMON_COMPUTATION,
};
