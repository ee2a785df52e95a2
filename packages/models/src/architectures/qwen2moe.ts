import { slice } from "../expressions/operations/slice.ts";
import type { VocabularyHints } from "../vocabulary/vocabulary-hints.ts";
import type { Architecture, Hyperparameter, Module, TensorRecipe } from "./architecture.ts";
import type { Config } from "./config.ts";
import { COMMON_HYPERPARAMETERS, uint32 } from "./hyperparameters.ts";
import { decoderModel, experts, LAYER, linear, norm, selfAttention } from "./modules.ts";
import { QWEN_DEFAULTS, QWEN_DERIVED, QWEN_FORWARD } from "./qwen2.ts";
import { COMMON_COMPUTATION, NORMALIZED_EXPERTS, only } from "./computation-keys.ts";

const NO_DENSE_BLOCKS = "experts in every block, because llama.cpp has no dense ones in this architecture";

export const QWEN_MOE_HYPERPARAMETERS: readonly Hyperparameter[] = [
  ...COMMON_HYPERPARAMETERS,
  uint32("expert_feed_forward_length", (config) => config.optionalInteger("moe_intermediate_size")),
  uint32("expert_shared_feed_forward_length", (config) =>
    config.optionalInteger("shared_expert_intermediate_size"),
  ),
];

export function qwenMoeVocabulary(config: Config): VocabularyHints {
  return { tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") };
}

/** The experts of a block. */
export function qwenExperts(): Module[] {
  const mlp = `${LAYER}.mlp`;
  const count = ["num_experts", "num_local_experts"];
  const merged = mergedGateUp(`${mlp}.experts.gate_up_proj`);
  return [
    linear("router", "ffn_gate_inp", `${mlp}.gate`, { input: "ffn_norm", when: isSparse }),
    experts("expert-down", "ffn_down_exps", {
      hf: `${mlp}.experts.{index}.down_proj`,
      stacked: `${mlp}.switch_mlp.down_proj`,
      input: "ffn_up_exps",
      merged: { from: [`${mlp}.experts.down_proj`] },
      count,
    }),
    experts("expert-gate", "ffn_gate_exps", {
      hf: `${mlp}.experts.{index}.gate_proj`,
      stacked: `${mlp}.switch_mlp.gate_proj`,
      input: "ffn_norm",
      merged: merged.gate,
      count,
    }),
    experts("expert-up", "ffn_up_exps", {
      hf: `${mlp}.experts.{index}.up_proj`,
      stacked: `${mlp}.switch_mlp.up_proj`,
      input: "ffn_norm",
      merged: merged.up,
      count,
    }),
  ];
}

/**
 * Every block has experts: llama.cpp has no dense ones in these architectures.
 *
 * @throws QuernError `MODEL_CONFIG_VALUE_INVALID` when the configuration says otherwise
 */
function isSparse(config: Config, layer: number): boolean {
  if (config.optionalNumbers("mlp_only_layers")?.includes(layer))
    throw config.error(["mlp_only_layers"], NO_DENSE_BLOCKS);
  const step = config.optionalInteger("decoder_sparse_step") ?? 1;
  if (step !== 1) throw config.error(["decoder_sparse_step"], NO_DENSE_BLOCKS);
  return true;
}

/** Experts that the checkpoint has merged, [experts, gate and up, hidden] (conversion/qwen.py, `Qwen2MoeModel`). */
function mergedGateUp(name: string): { gate: TensorRecipe; up: TensorRecipe } {
  const half = (first: boolean): TensorRecipe => ({
    from: [name],
    make: ([tensor]) => {
      const { expression, shape } = tensor!;
      const middle = shape[1]! / 2;
      const range = first ? { start: 0, stop: middle } : { start: middle, stop: shape[1]! };
      return slice(expression, { axis: 1, ...range });
    },
  });
  return { gate: half(true), up: half(false) };
}

/** Qwen 1.5 and 2 with experts, one of them for all tokens (conversion/qwen.py, `Qwen2MoeModel`). */
export const qwen2moe: Architecture = {
  name: "qwen2moe",
  classes: ["Qwen2MoeForCausalLM"],
  defaults: { ...QWEN_DEFAULTS, num_experts_per_tok: 4 },
  derived: QWEN_DERIVED,
  hyperparameters: QWEN_MOE_HYPERPARAMETERS,
  vocabulary: qwenMoeVocabulary,
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm", hasBias: "always" }),
    norm("ffn_norm", `${LAYER}.post_attention_layernorm`),
    ...qwenExperts(),
    linear("shared-router", "ffn_gate_inp_shexp", `${LAYER}.mlp.shared_expert_gate`, { input: "ffn_norm" }),
    linear("shared-gate", "ffn_gate_shexp", `${LAYER}.mlp.shared_expert.gate_proj`, { input: "ffn_norm" }),
    linear("shared-up", "ffn_up_shexp", `${LAYER}.mlp.shared_expert.up_proj`, { input: "ffn_norm" }),
    linear("shared-down", "ffn_down_shexp", `${LAYER}.mlp.shared_expert.down_proj`, {
      input: "ffn_up_shexp",
    }),
  ],
  forward: { ...QWEN_FORWARD, experts: { gating: "softmax", normalized: false } },
  computation: [...COMMON_COMPUTATION, NORMALIZED_EXPERTS, only("use_sliding_window", false)],
};
