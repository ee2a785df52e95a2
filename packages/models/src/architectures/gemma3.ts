import { slice } from "../expressions/operations/slice.ts";
import type { Architecture, Module } from "./architecture.ts";
import { COMMON_HYPERPARAMETERS, float32, uint32 } from "./hyperparameters.ts";
import {
  gemmaBlock,
  gemmaNorm,
  gemmaScale,
  gemmaVocabulary,
  GEMMA_FORWARD,
  GEMMA_IGNORED,
} from "./gemma2.ts";
import { embedding, LAYER } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { COMMON_COMPUTATION, only, QUERY_SCALAR } from "./computation-keys.ts";

/** Rows beyond the vocabulary, which the tokenizer cannot reach, are left out (conversion/gemma.py, `Gemma3Model`). */
const withoutUnreachableRows: Module["weight"] = [
  {
    from: ["model.embed_tokens.weight"],
    make: ([tensor], { vocabularySize }) => {
      const { expression, shape } = tensor!;
      return shape[0]! > vocabularySize
        ? slice(expression, { axis: 0, start: 0, stop: vocabularySize })
        : expression;
    },
  },
];

/** Gemma 3, and the text part of its multimodal models (conversion/gemma.py, `Gemma3Model`). */
export const gemma3: Architecture = {
  name: "gemma3",
  classes: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
  // The text configuration of multimodal models is written without the values that are those of its class.
  defaults: {
    head_dim: 256,
    hidden_size: 2304,
    intermediate_size: 9216,
    max_position_embeddings: 131_072,
    num_attention_heads: 8,
    num_hidden_layers: 26,
    num_key_value_heads: 4,
    rms_norm_eps: 1e-6,
    rope_local_base_freq: 10_000,
    rope_theta: 1_000_000,
    sliding_window: 4096,
    vocab_size: 262_208,
  },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    float32(
      "rope.freq_base",
      (config) => ropeParameters(config).full.optionalNumber("rope_theta") ?? 1_000_000,
    ),
    float32(
      "final_logit_softcapping",
      (config) => config.optionalNumber("final_logit_softcapping") || undefined,
    ),
    uint32("attention.sliding_window", (config) =>
      config.optionalInteger("sliding_window_pattern") === 1 ? undefined : config.integer("sliding_window"),
    ),
    uint32("attention.head_count_kv", (config) => config.integer("num_key_value_heads")),
  ],
  vocabulary: (config) => ({ ...gemmaVocabulary(config), tokenizers: ["sentencepiece", "byte-level-bpe"] }),
  model: [
    embedding("model.embed_tokens", { weight: withoutUnreachableRows }),
    gemmaNorm("output_norm", "model.norm"),
  ],
  block: [
    ...gemmaBlock(),
    gemmaNorm("attn_q_norm", `${LAYER}.self_attn.q_norm`, { input: "attn_q" }),
    gemmaNorm("attn_k_norm", `${LAYER}.self_attn.k_norm`, { input: "attn_k" }),
  ],
  renames: [
    [/^language_model\./, ""],
    [/^model\.language_model\./, "model."],
  ],
  ignored: [...GEMMA_IGNORED, /^(model\.)?(vision_tower|multi_modal_projector)\./],
  forward: {
    ...GEMMA_FORWARD,
    attention: {
      ...GEMMA_FORWARD.attention,
      rope: { layout: "halves", unscaledWindows: { base: 10_000 } },
      fullEvery: 6,
      scale: (hyperparameters) => gemmaScale({ hyperparameters, blocksOf27B: 62 }),
    },
  },
  computation: [...COMMON_COMPUTATION, QUERY_SCALAR, only("use_bidirectional_attention", false)],
};
