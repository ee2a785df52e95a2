import { reshape } from "../expressions/operations/reshape.ts";
import { slice } from "../expressions/operations/slice.ts";
import { transpose } from "../expressions/operations/transpose.ts";
import type { TensorExpression } from "../expressions/expression.ts";
import type { Architecture, Hyperparameter, Module, SourceTensor } from "./architecture.ts";
import type { Config } from "./config.ts";
import { attentionHeads, bool, COMMON_HYPERPARAMETERS, float32, string, uint32 } from "./hyperparameters.ts";
import { keyValueHeads } from "./llama.ts";
import { decoderModel, experts, gatedFeedForward, LAYER, linear, norm } from "./modules.ts";
import { ropeParameters } from "./rope.ts";
import { COMMON_COMPUTATION, only } from "./computation-keys.ts";
import { YARN_LOG_MULTIPLIER_UNIT, yarnMagnitude } from "../forward/yarn.ts";
import type { ModelHyperparameters } from "../forward/plan/model-hyperparameters.ts";

const ATTENTION = `${LAYER}.self_attn`;
const MLP = `${LAYER}.mlp`;

/** The first blocks are dense, and all are where there are no experts. */
function denseBlocks(config: Config): number {
  const without = config.value("n_routed_experts") === undefined ? config.integer("num_hidden_layers") : 0;
  return config.optionalInteger("first_k_dense_replace") ?? without;
}

const isDense = (config: Config, layer: number): boolean => layer < denseBlocks(config);
const isSparse = (config: Config, layer: number): boolean => !isDense(config, layer);
const hasSharedExperts = (config: Config, layer: number): boolean =>
  isSparse(config, layer) && (config.optionalInteger("n_shared_experts") ?? 0) > 0;
const compressesQueries = (config: Config): boolean => config.optionalInteger("q_lora_rank") !== undefined;

/** Keys and values that are made from the latent vector, [heads, keys then values, latent] (conversion/deepseek.py). */
function latentHeads(
  { expression, shape }: SourceTensor,
  config: Config,
): { heads: TensorExpression; keys: number; all: number } {
  const keys = config.integer("qk_nope_head_dim");
  const all = keys + config.integer("v_head_dim");
  return { heads: reshape(expression, [keyValueHeads(config), all, shape[1] ?? 0]), keys, all };
}

/** A part of kv_b_proj of its own: llama.cpp works with the latent vectors, which takes K transposed. */
function latentPart(role: "k-up" | "v-up", name: string): Module {
  return {
    role,
    name,
    hf: `${ATTENTION}.kv_b_proj`,
    input: "attn_kv_a_norm",
    hasBias: "never",
    weight: [
      {
        from: [`${ATTENTION}.kv_b_proj.weight`],
        make: ([tensor], { config }) => {
          const { heads, keys, all } = latentHeads(tensor!, config);
          return role === "k-up"
            ? transpose(slice(heads, { axis: 1, start: 0, stop: keys }))
            : slice(heads, { axis: 1, start: keys, stop: all });
        },
      },
    ],
  };
}

function routedExperts(role: Module["role"], name: string, projection: string, input: string): Module {
  return experts(role, name, {
    hf: `${MLP}.experts.{index}.${projection}`,
    stacked: `${MLP}.switch_mlp.${projection}`,
    count: ["n_routed_experts"],
    input,
    when: isSparse,
  });
}

/** Factor of the scores, sharper where YaRN stretches positions (DeepSeek's modeling_deepseek.py, `softmax_scale`). */
function scoreScale(hyperparameters: ModelHyperparameters): number {
  const stored = hyperparameters.optionalNumber("rope.scaling.yarn_log_multiplier");
  const factor = hyperparameters.optionalNumber("rope.scaling.factor") ?? 1;
  const magnitude = stored === undefined ? 1 : yarnMagnitude(factor, stored / YARN_LOG_MULTIPLIER_UNIT);
  return magnitude ** 2 / Math.sqrt(hyperparameters.integer("attention.key_length_mla"));
}

/** How groups of experts are compared, of which the configuration has the method of choice. */
const GROUP_SCORES: ReadonlyMap<string, string> = new Map([
  ["greedy", "none"],
  ["group_limited_greedy", "best"],
  ["noaux_tc", "best-two"],
]);

const DEFAULTS = {
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  routed_scaling_factor: 1,
  tie_word_embeddings: false,
};

const DEEPSEEK_COMPUTATION: readonly Hyperparameter[] = [
  ...COMMON_COMPUTATION,
  only("rope_interleave", true),
];

function groupScore(defaultMethod: string): Hyperparameter {
  return string("expert_group_score", (config) => {
    const method = config.optionalString("topk_method") ?? defaultMethod;
    return GROUP_SCORES.get(method) ?? method;
  });
}

/** DeepSeek V2: attention through latent vectors, and experts (conversion/deepseek.py, `DeepseekV2Model`). */
export const deepseek2: Architecture = {
  name: "deepseek2",
  classes: ["DeepseekV2ForCausalLM"],
  defaults: DEFAULTS,
  derived: {
    num_key_value_heads: attentionHeads,
    head_dim: (config) => config.integer("qk_rope_head_dim"),
  },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    // Every head has the one latent vector as its key.
    uint32("attention.head_count_kv", () => 1),
    uint32("leading_dense_block_count", denseBlocks),
    uint32("vocab_size", (config) => config.integer("vocab_size")),
    uint32("attention.q_lora_rank", (config) => config.optionalInteger("q_lora_rank")),
    uint32("attention.kv_lora_rank", (config) => config.integer("kv_lora_rank")),
    uint32(
      "attention.key_length",
      (config) => config.integer("kv_lora_rank") + config.integer("qk_rope_head_dim"),
    ),
    uint32("attention.value_length", (config) => config.integer("kv_lora_rank")),
    uint32(
      "attention.key_length_mla",
      (config) => config.integer("qk_nope_head_dim") + config.integer("qk_rope_head_dim"),
    ),
    uint32("attention.value_length_mla", (config) => config.integer("v_head_dim")),
    uint32("expert_feed_forward_length", (config) =>
      config.integer("moe_intermediate_size", "intermediate_size"),
    ),
    uint32("expert_count", (config) => config.optionalInteger("n_routed_experts")),
    uint32("expert_shared_count", (config) => config.optionalInteger("n_shared_experts") ?? 0),
    float32("expert_weights_scale", (config) => config.optionalNumber("routed_scaling_factor")),
    bool("expert_weights_norm", (config) => config.optionalBoolean("norm_topk_prob") || undefined),
    uint32("rope.dimension_count", (config) => config.integer("qk_rope_head_dim")),
    float32("rope.scaling.yarn_log_multiplier", (config) => {
      const scale = ropeParameters(config).full.optionalNumber("mscale_all_dim");
      return scale === undefined ? undefined : 0.1 * scale;
    }),
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    linear("q", "attn_q", `${ATTENTION}.q_proj`, {
      input: "attn_norm",
      when: (config) => !compressesQueries(config),
    }),
    linear("q-down", "attn_q_a", `${ATTENTION}.q_a_proj`, { input: "attn_norm", when: compressesQueries }),
    norm("attn_q_a_norm", `${ATTENTION}.q_a_layernorm`, { input: "attn_q_a", when: compressesQueries }),
    linear("q-up", "attn_q_b", `${ATTENTION}.q_b_proj`, { input: "attn_q_a_norm", when: compressesQueries }),
    linear("kv-down", "attn_kv_a_mqa", `${ATTENTION}.kv_a_proj_with_mqa`, { input: "attn_norm" }),
    norm("attn_kv_a_norm", `${ATTENTION}.kv_a_layernorm`, { input: "attn_kv_a_mqa" }),
    latentPart("k-up", "attn_k_b"),
    latentPart("v-up", "attn_v_b"),
    linear("o", "attn_output", `${ATTENTION}.o_proj`, { input: "attn_v_b" }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
    ...gatedFeedForward({ input: "ffn_norm", when: isDense }),
    linear("router", "ffn_gate_inp", `${MLP}.gate`, { input: "ffn_norm", when: isSparse }),
    {
      role: "router-bias",
      name: "exp_probs_b",
      hf: `${MLP}.gate.e_score_correction_bias`,
      input: "ffn_gate_inp",
      weight: [],
      bias: [{ from: [`${MLP}.gate.e_score_correction_bias`] }],
      when: isSparse,
    },
    routedExperts("expert-down", "ffn_down_exps", "down_proj", "ffn_up_exps"),
    routedExperts("expert-gate", "ffn_gate_exps", "gate_proj", "ffn_norm"),
    routedExperts("expert-up", "ffn_up_exps", "up_proj", "ffn_norm"),
    linear("shared-gate", "ffn_gate_shexp", `${MLP}.shared_experts.gate_proj`, {
      input: "ffn_norm",
      when: hasSharedExperts,
    }),
    linear("shared-up", "ffn_up_shexp", `${MLP}.shared_experts.up_proj`, {
      input: "ffn_norm",
      when: hasSharedExperts,
    }),
    linear("shared-down", "ffn_down_shexp", `${MLP}.shared_experts.down_proj`, {
      input: "ffn_up_shexp",
      when: hasSharedExperts,
    }),
  ],
  extraBlocks: /^model\.layers\.(\d+)\./,
  forward: {
    norm: "rms",
    attention: { kind: "latent", rope: { layout: "interleaved" }, scale: scoreScale },
    feedForward: { activation: "silu" },
    experts: { gating: "softmax", normalized: false },
  },
  computation: [...DEEPSEEK_COMPUTATION, groupScore("greedy")],
};

/** llama.cpp's number of the gating function that V3 always has (gguf-py, `ExpertGatingFuncType`). */
const SIGMOID = 2;

/** DeepSeek V3, which is a V2 to llama.cpp. */
export const deepseek3: Architecture = {
  ...deepseek2,
  classes: ["DeepseekV3ForCausalLM"],
  defaults: { ...DEFAULTS, n_group: 8, norm_topk_prob: true, routed_scaling_factor: 2.5, topk_group: 4 },
  computation: [
    ...DEEPSEEK_COMPUTATION,
    groupScore("noaux_tc"),
    uint32("expert_gating_func", (config) =>
      config.value("scoring_func") === undefined ? SIGMOID : undefined,
    ),
  ],
};
