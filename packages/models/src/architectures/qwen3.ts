import type { Architecture, Module } from "./architecture.ts";
import { decoderModel, gatedFeedForward, LAYER, norm, selfAttention } from "./modules.ts";
import {
  QWEN_COMPUTATION,
  QWEN_DEFAULTS,
  QWEN_DERIVED,
  QWEN_FORWARD,
  QWEN_HYPERPARAMETERS,
  qwenVocabulary,
} from "./qwen2.ts";

/** Attention with norms of each head's queries and keys. */
export function qwen3Attention(): Module[] {
  return [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm" }),
    norm("attn_q_norm", `${LAYER}.self_attn.q_norm`, { input: "attn_q" }),
    norm("attn_k_norm", `${LAYER}.self_attn.k_norm`, { input: "attn_k" }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
  ];
}

/** Qwen 3 (conversion/qwen.py, `Qwen3Model`). */
export const qwen3: Architecture = {
  name: "qwen3",
  classes: ["Qwen3ForCausalLM"],
  defaults: { ...QWEN_DEFAULTS, head_dim: 128 },
  derived: QWEN_DERIVED,
  hyperparameters: QWEN_HYPERPARAMETERS,
  vocabulary: qwenVocabulary,
  pooling: true,
  model: decoderModel(),
  block: [...qwen3Attention(), ...gatedFeedForward({ input: "ffn_norm" })],
  forward: QWEN_FORWARD,
  computation: QWEN_COMPUTATION,
};
