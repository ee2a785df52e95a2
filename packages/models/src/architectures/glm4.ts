import type { Architecture } from "./architecture.ts";
import { attentionHeads, COMMON_HYPERPARAMETERS, headDimension, uint32 } from "./hyperparameters.ts";
import { decoderModel, LAYER, linear, norm, selfAttention } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

/** GLM-4 of April 2025 (conversion/glm.py, `Glm4Model`). */
export const glm4: Architecture = {
  name: "glm4",
  classes: ["Glm4ForCausalLM"],
  defaults: {
    attention_bias: true,
    head_dim: 128,
    partial_rotary_factor: 0.5,
    rms_norm_eps: 1.5625e-7,
    rope_theta: 10_000,
    tie_word_embeddings: false,
  },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    uint32("rope.dimension_count", (config) =>
      Math.trunc(
        headDimension(config) * (ropeParameters(config).full.optionalNumber("partial_rotary_factor") ?? 0.5),
      ),
    ),
  ],
  vocabulary: (config) => ({
    tokenizers: ["byte-level-bpe"],
    vocabularySize: config.integer("vocab_size"),
    fallbackSpecialTokens: {
      eos: "<|endoftext|>",
      eot: "<|user|>",
      unk: "<|endoftext|>",
      bos: "<|endoftext|>",
    },
  }),
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm" }),
    norm("post_attention_norm", `${LAYER}.post_self_attn_layernorm`, { input: "attn_output" }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
    linear("gate-up", "ffn_up", `${LAYER}.mlp.gate_up_proj`, { input: "ffn_norm" }),
    linear("down", "ffn_down", `${LAYER}.mlp.down_proj`, { input: "ffn_up" }),
    norm("post_ffw_norm", `${LAYER}.post_mlp_layernorm`, { input: "ffn_down" }),
  ],
  forward: {
    norm: "rms",
    attention: { after: "post_attention_norm", rope: { layout: "interleaved" } },
    feedForward: { after: "post_ffw_norm", activation: "silu" },
  },
  computation: COMMON_COMPUTATION,
};
