import { transpose } from "../expressions/operations/transpose.ts";
import type { Architecture, Module } from "./architecture.ts";
import { fileType, float32, uint32 } from "./hyperparameters.ts";
import { embedding, layerNorm, linear, output } from "./modules.ts";
import { COMMON_COMPUTATION, only } from "./computation-keys.ts";

const BLOCK = "h.{layer}";

/** A linear layer whose weight is stored as [inputs, outputs] (transformers, `Conv1D`). */
function conv1d(role: Module["role"], name: string, hf: string, input: string): Module {
  return linear(role, name, hf, {
    input,
    hasBias: "always",
    weight: [{ from: [`${hf}.weight`], make: ([tensor]) => transpose(tensor!.expression) }],
  });
}

/** GPT-2 (conversion/gpt2.py). */
export const gpt2: Architecture = {
  name: "gpt2",
  classes: ["GPT2LMHeadModel"],
  defaults: { layer_norm_epsilon: 1e-5, tie_word_embeddings: true },
  hyperparameters: [
    uint32("block_count", (config) => config.integer("n_layer")),
    uint32("context_length", (config) => config.integer("n_ctx", "n_positions")),
    uint32("embedding_length", (config) => config.integer("n_embd")),
    uint32(
      "feed_forward_length",
      (config) => config.optionalInteger("n_inner") ?? 4 * config.integer("n_embd"),
    ),
    uint32("attention.head_count", (config) => config.integer("n_head")),
    float32("attention.layer_norm_epsilon", (config) => config.number("layer_norm_epsilon")),
    fileType,
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: [
    embedding("wte"),
    { role: "position-embedding", name: "position_embd", hf: "wpe", hasBias: "never" },
    layerNorm("output_norm", "ln_f"),
    output("lm_head"),
  ],
  block: [
    layerNorm("attn_norm", `${BLOCK}.ln_1`),
    conv1d("qkv", "attn_qkv", `${BLOCK}.attn.c_attn`, "attn_norm"),
    conv1d("o", "attn_output", `${BLOCK}.attn.c_proj`, "attn_qkv"),
    layerNorm("ffn_norm", `${BLOCK}.ln_2`),
    conv1d("up", "ffn_up", `${BLOCK}.mlp.c_fc`, "ffn_norm"),
    conv1d("down", "ffn_down", `${BLOCK}.mlp.c_proj`, "ffn_up"),
  ],
  exchanged: /\.(c_attn|c_proj|c_fc)\.weight$/,
  renames: [[/^transformer\./, ""]],
  // The causal mask.
  ignored: [/\.attn\.(masked_)?bias$/],
  forward: { norm: "layer", attention: {}, feedForward: { activation: "gelu-tanh" } },
  computation: [
    ...COMMON_COMPUTATION,
    only("scale_attn_weights", true),
    only("scale_attn_by_inverse_layer_idx", false),
  ],
};
