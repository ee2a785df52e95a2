import { stack } from "../expressions/operations/stack.ts";
import type { Architecture, Module } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, bool, fileType, float32, uint32 } from "./hyperparameters.ts";
import { keyValueHeads } from "./llama.ts";
import { embedding, gatedFeedForward, LAYER, layerNorm, output, selfAttention } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

/** A norm of each head, one after the other. */
function headNorms(
  name: string,
  hf: string,
  options: { input: string; heads: (config: Config) => number },
): Module {
  return {
    role: "norm",
    name,
    hf,
    input: options.input,
    hasBias: "never",
    weight: [
      {
        from: [`${hf}.norms.{index}.weight`],
        count: options.heads,
        make: (sources) => stack(sources.map(({ expression }) => expression)),
      },
    ],
    when: (config) => config.optionalBoolean("qk_layernorm") ?? false,
  };
}

const isParallel = (config: Config): boolean => config.optionalBoolean("use_parallel_residual") ?? true;

/** StableLM, with attention and feed-forward side by side or in turn (conversion/stablelm.py). */
export const stablelm: Architecture = {
  name: "stablelm",
  classes: ["StableLmForCausalLM", "StableLMEpochForCausalLM"],
  defaults: {
    layer_norm_eps: 1e-5,
    partial_rotary_factor: 0.25,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    use_parallel_residual: false,
  },
  derived: { num_key_value_heads: attentionHeads },
  hyperparameters: [
    uint32("context_length", (config) => config.integer("max_position_embeddings")),
    uint32("embedding_length", (config) => config.integer("hidden_size")),
    uint32("block_count", (config) => config.integer("num_hidden_layers")),
    uint32("feed_forward_length", (config) => config.integer("intermediate_size")),
    uint32("rope.dimension_count", (config) =>
      Math.trunc(
        ropeParameters(config).full.number("partial_rotary_factor") *
          Math.floor(config.integer("hidden_size") / attentionHeads(config)),
      ),
    ),
    uint32("attention.head_count", attentionHeads),
    uint32("attention.head_count_kv", (config) => config.integer("num_key_value_heads")),
    bool("use_parallel_residual", isParallel),
    float32("attention.layer_norm_epsilon", (config) => config.number("layer_norm_eps", "norm_eps")),
    fileType,
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: [embedding("model.embed_tokens"), layerNorm("output_norm", "model.norm"), output("lm_head")],
  block: [
    layerNorm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm" }),
    headNorms("attn_q_norm", `${LAYER}.self_attn.q_layernorm`, { input: "attn_q", heads: attentionHeads }),
    headNorms("attn_k_norm", `${LAYER}.self_attn.k_layernorm`, { input: "attn_k", heads: keyValueHeads }),
    layerNorm("ffn_norm", `${LAYER}.post_attention_layernorm`, { when: (config) => !isParallel(config) }),
    ...gatedFeedForward({ input: "ffn_norm", when: (config) => !isParallel(config) }),
    ...gatedFeedForward({ input: "attn_norm", when: isParallel }),
  ],
  forward: {
    norm: "layer",
    attention: { rope: { layout: "halves" }, queryKeyNorm: "per-head" },
    feedForward: { before: ["ffn_norm", "attn_norm"], activation: "silu" },
    // llama.cpp knows it by the missing norm (stablelm.cpp), files by the key.
    parallel: (hyperparameters) => hyperparameters.optionalBoolean("use_parallel_residual") ?? false,
  },
  computation: COMMON_COMPUTATION,
};
