import { QuernError } from "@quern/tensor";
import type { Architecture } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, fileType, float32, uint32 } from "./hyperparameters.ts";
import { decoderModel, LAYER, linear, norm } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

/** Kinds of scaling that this family calls differently and means the same by (transformers, `Phi3Config`). */
const LONG_ROPE: ReadonlySet<string | undefined> = new Set(["longrope", "su", "yarn"]);

function rotaryDimensions(config: Config): number {
  const share = ropeParameters(config).full.optionalNumber("partial_rotary_factor") ?? 1;
  return Math.floor(Math.trunc(share * config.integer("hidden_size")) / attentionHeads(config));
}

function longFactors(config: Config): readonly number[] | undefined {
  return factors(config, "long_factor");
}

/** Factors by which rotary frequencies are slowed down, of contexts beyond the original one or within it. */
function factors(config: Config, key: "long_factor" | "short_factor"): readonly number[] | undefined {
  const rope = ropeParameters(config).full;
  if (!rope.optionalNumbers("long_factor")?.length) return undefined;
  const type = rope.optionalString("rope_type");
  if (!LONG_ROPE.has(type)) throw rope.error(["rope_type", "type"], [...LONG_ROPE].join(" or "));
  const numbers = rope.optionalNumbers(key);
  const expected = rotaryDimensions(config) / 2;
  if (numbers?.length === expected) return numbers;
  throw new QuernError(
    "MODEL_CONFIG_VALUE_INVALID",
    `config.json: ${key} of rope_scaling has ${numbers?.length ?? 0} numbers: expected ${expected}, half the rotary dimensions`,
    { subject: { file: "config.json", key: `rope_scaling.${key}` } },
  );
}

/** How much more attention scores are scaled when the context is extended (conversion/phi.py, `generate_extra_tensors`). */
function attentionFactor(config: Config): number | undefined {
  if (longFactors(config) === undefined) return undefined;
  const original = originalContext(config);
  const scale = config.integer("max_position_embeddings") / original;
  return scale > 1 ? Math.sqrt(1 + Math.log(scale) / Math.log(original)) : 1;
}

function originalContext(config: Config): number {
  return ropeParameters(config).full.integer("original_max_position_embeddings");
}

/** Phi 3, 3.5 and 4 (conversion/phi.py, `Phi3MiniModel`). */
export const phi3: Architecture = {
  name: "phi3",
  classes: ["Phi3ForCausalLM"],
  defaults: {
    original_max_position_embeddings: 4096,
    partial_rotary_factor: 1,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
  },
  derived: { num_key_value_heads: attentionHeads },
  leadingHyperparameters: [float32("rope.scaling.attn_factor", attentionFactor)],
  hyperparameters: [
    uint32("context_length", (config) => config.integer("max_position_embeddings")),
    uint32("rope.scaling.original_context_length", originalContext),
    uint32("embedding_length", (config) => config.integer("hidden_size")),
    uint32("feed_forward_length", (config) => config.integer("intermediate_size")),
    uint32("block_count", (config) => config.integer("num_hidden_layers")),
    uint32("attention.head_count", attentionHeads),
    uint32("attention.head_count_kv", (config) => config.integer("num_key_value_heads")),
    float32("attention.layer_norm_rms_epsilon", (config) => config.number("rms_norm_eps")),
    uint32("rope.dimension_count", rotaryDimensions),
    float32("rope.freq_base", (config) => ropeParameters(config).full.number("rope_theta")),
    fileType,
    // Zero tells Phi 4, which has no window, from the others.
    uint32("attention.sliding_window", (config) => config.optionalInteger("sliding_window") ?? 0),
  ],
  vocabulary: (config) => ({
    tokenizers: ["phi3-sentencepiece", "byte-level-bpe"],
    vocabularySize: config.integer("vocab_size"),
  }),
  generated: [
    { name: "rope_factors_long.weight", values: longFactors },
    { name: "rope_factors_short.weight", values: (config) => factors(config, "short_factor") },
  ],
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    linear("qkv", "attn_qkv", `${LAYER}.self_attn.qkv_proj`, { input: "attn_norm" }),
    linear("o", "attn_output", `${LAYER}.self_attn.o_proj`, { input: "attn_qkv" }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
    linear("gate-up", "ffn_up", `${LAYER}.mlp.gate_up_proj`, { input: "ffn_norm" }),
    linear("down", "ffn_down", `${LAYER}.mlp.down_proj`, { input: "ffn_up" }),
  ],
  forward: {
    norm: "rms",
    attention: { rope: { layout: "halves" } },
    feedForward: { activation: "silu" },
  },
  computation: COMMON_COMPUTATION,
};
