import type { Architecture } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, fileType, float32, string, uint32 } from "./hyperparameters.ts";
import { embedding, layerNorm, linear, output } from "./modules.ts";
import { separateQkvOfGroups } from "./row-orders.ts";
import { COMMON_COMPUTATION, only } from "./computation-keys.ts";

const BLOCK = "h.{layer}";

const isNew = (config: Config): boolean => config.optionalBoolean("new_decoder_architecture") ?? false;

/**
 * Key and value heads. Falcon 7B has one for all queries, but its published configuration says otherwise (`num_kv_heads` 71):
 * there `multi_query` counts, as in transformers' `FalconAttention`.
 */
function keyValueHeads(config: Config): number {
  const multiQuery = config.optionalBoolean("multi_query") ?? true;
  if (multiQuery && !isNew(config)) return 1;
  return config.optionalInteger("num_kv_heads", "n_head_kv") ?? attentionHeads(config);
}

/** Falcon 7B, 40B and 180B (conversion/falcon.py). */
export const falcon: Architecture = {
  name: "falcon",
  classes: ["FalconForCausalLM", "RWForCausalLM"],
  defaults: { layer_norm_epsilon: 1e-5, tie_word_embeddings: true },
  hyperparameters: [
    // No Falcon was trained on more, whatever the configuration says.
    uint32("context_length", () => 2048),
    // Name of the order of rows in attn_qkv.
    string("tensor_data_layout", () => "jploski"),
    uint32("embedding_length", (config) => config.integer("hidden_size")),
    uint32(
      "feed_forward_length",
      (config) => config.optionalInteger("ffn_hidden_size") ?? 4 * config.integer("hidden_size"),
    ),
    uint32("block_count", (config) => config.integer("num_hidden_layers", "n_layer")),
    uint32("attention.head_count", attentionHeads),
    uint32("attention.head_count_kv", keyValueHeads),
    float32("attention.layer_norm_epsilon", (config) => config.number("layer_norm_epsilon")),
    fileType,
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: [embedding("word_embeddings"), layerNorm("output_norm", "ln_f"), output("lm_head")],
  block: [
    layerNorm("attn_norm", `${BLOCK}.input_layernorm`, { when: (config) => !isNew(config) }),
    // The feed-forward network reads attn_norm, attention its own norm.
    layerNorm("attn_norm", `${BLOCK}.ln_mlp`, { when: isNew }),
    layerNorm("attn_norm_2", `${BLOCK}.ln_attn`, { when: isNew }),
    ...[true, false].map((isNewer) =>
      linear("qkv", "attn_qkv", `${BLOCK}.self_attention.query_key_value`, {
        input: isNewer ? "attn_norm_2" : "attn_norm",
        make: separateQkvOfGroups({ heads: attentionHeads, groups: keyValueHeads }),
        when: (config) => isNew(config) === isNewer,
      }),
    ),
    linear("o", "attn_output", `${BLOCK}.self_attention.dense`, { input: "attn_qkv" }),
    linear("up", "ffn_up", `${BLOCK}.mlp.dense_h_to_4h`, { input: "attn_norm" }),
    linear("down", "ffn_down", `${BLOCK}.mlp.dense_4h_to_h`, { input: "ffn_up" }),
  ],
  renames: [[/^transformer\./, ""]],
  forward: {
    norm: "layer",
    attention: { before: ["attn_norm_2", "attn_norm"], rope: { layout: "halves" } },
    feedForward: { before: ["attn_norm"], activation: "gelu" },
    parallel: () => true,
  },
  computation: [
    ...COMMON_COMPUTATION,
    only("alibi", false),
    only("parallel_attn", true),
    only("apply_residual_connection_post_layernorm", false),
  ],
};
