import type { Architecture } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, bool, float32, uint32 } from "./hyperparameters.ts";
import { embedding, layerNorm, linear, output } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { separateQkvOfHeads } from "./row-orders.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

const BLOCK = "gpt_neox.layers.{layer}";

function rotaryShare(config: Config): number {
  return (
    config.optionalNumber("rotary_pct") ??
    ropeParameters(config).full.optionalNumber("partial_rotary_factor") ??
    0.25
  );
}

/** GPT-NeoX and Pythia (conversion/gptneox.py, which writes no file type). */
export const gptneox: Architecture = {
  name: "gptneox",
  classes: ["GPTNeoXForCausalLM"],
  defaults: { layer_norm_eps: 1e-5, tie_word_embeddings: false, use_parallel_residual: true },
  hyperparameters: [
    uint32("context_length", (config) => config.integer("max_position_embeddings")),
    uint32("embedding_length", (config) => config.integer("hidden_size")),
    uint32("block_count", (config) => config.integer("num_hidden_layers")),
    uint32("feed_forward_length", (config) => config.integer("intermediate_size")),
    uint32("rope.dimension_count", (config) =>
      Math.trunc(rotaryShare(config) * Math.floor(config.integer("hidden_size") / attentionHeads(config))),
    ),
    uint32("attention.head_count", attentionHeads),
    bool("use_parallel_residual", (config) => config.optionalBoolean("use_parallel_residual")),
    float32("attention.layer_norm_epsilon", (config) => config.number("layer_norm_eps")),
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: [
    embedding("gpt_neox.embed_in"),
    layerNorm("output_norm", "gpt_neox.final_layer_norm"),
    output("embed_out"),
  ],
  block: [
    layerNorm("attn_norm", `${BLOCK}.input_layernorm`),
    linear("qkv", "attn_qkv", `${BLOCK}.attention.query_key_value`, {
      input: "attn_norm",
      make: separateQkvOfHeads(attentionHeads),
      hasBias: "always",
    }),
    linear("o", "attn_output", `${BLOCK}.attention.dense`, { input: "attn_qkv", hasBias: "always" }),
    layerNorm("ffn_norm", `${BLOCK}.post_attention_layernorm`),
    linear("up", "ffn_up", `${BLOCK}.mlp.dense_h_to_4h`, { input: "ffn_norm", hasBias: "always" }),
    linear("down", "ffn_down", `${BLOCK}.mlp.dense_4h_to_h`, { input: "ffn_up", hasBias: "always" }),
  ],
  forward: {
    norm: "layer",
    attention: { rope: { layout: "halves" } },
    feedForward: { activation: "gelu" },
    parallel: (hyperparameters) => hyperparameters.optionalBoolean("use_parallel_residual") ?? true,
  },
  computation: COMMON_COMPUTATION,
};
