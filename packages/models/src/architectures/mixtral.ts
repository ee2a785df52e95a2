import type { Architecture, Module } from "./architecture.ts";
import { attentionHeads } from "./hyperparameters.ts";
import {
  llamaAttention,
  llamaVocabulary,
  LLAMA3_ROPE_FACTORS,
  LLAMA_FORWARD,
  LLAMA_HYPERPARAMETERS,
} from "./llama.ts";
import { decoderModel, experts, LAYER, linear } from "./modules.ts";
import { LLAMA_COMPUTATION, slidingWindow } from "./computation-keys.ts";

const MOE = `${LAYER}.block_sparse_moe`;

/** @param params.stacked What mlx-lm calls it. */
function expert(
  role: Module["role"],
  name: string,
  { matrix, stacked, input }: { readonly matrix: string; readonly stacked: string; readonly input: string },
): Module {
  return experts(role, name, {
    hf: `${MOE}.experts.{index}.${matrix}`,
    stacked: `${MOE}.switch_mlp.${stacked}`,
    count: ["num_local_experts"],
    input,
  });
}

/** Mixtral, a Llama with experts to llama.cpp (conversion/llama.py, `LlamaModel`). */
export const mixtral: Architecture = {
  name: "llama",
  classes: ["MixtralForCausalLM"],
  defaults: {
    num_experts_per_tok: 2,
    num_key_value_heads: 8,
    num_local_experts: 8,
    rms_norm_eps: 1e-5,
    rope_theta: 1_000_000,
    tie_word_embeddings: false,
  },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: LLAMA_HYPERPARAMETERS,
  vocabulary: llamaVocabulary,
  generated: [LLAMA3_ROPE_FACTORS],
  model: decoderModel(),
  block: [
    ...llamaAttention(),
    linear("router", "ffn_gate_inp", `${MOE}.gate`, { input: "ffn_norm" }),
    expert("expert-gate", "ffn_gate_exps", { matrix: "w1", stacked: "gate_proj", input: "ffn_norm" }),
    expert("expert-down", "ffn_down_exps", { matrix: "w2", stacked: "down_proj", input: "ffn_up_exps" }),
    expert("expert-up", "ffn_up_exps", { matrix: "w3", stacked: "up_proj", input: "ffn_norm" }),
  ],
  forward: LLAMA_FORWARD,
  computation: [...LLAMA_COMPUTATION, slidingWindow((config) => config.optionalInteger("sliding_window"))],
};
