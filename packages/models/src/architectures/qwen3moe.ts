import type { Architecture } from "./architecture.ts";
import { decoderModel } from "./modules.ts";
import { QWEN_DEFAULTS, QWEN_DERIVED, QWEN_FORWARD } from "./qwen2.ts";
import { QWEN_MOE_HYPERPARAMETERS, qwenExperts, qwenMoeVocabulary } from "./qwen2moe.ts";
import { qwen3Attention } from "./qwen3.ts";
import { COMMON_COMPUTATION, NORMALIZED_EXPERTS, slidingWindow } from "./computation-keys.ts";

/** Qwen 3 with experts (conversion/qwen.py, `Qwen3MoeModel`). */
export const qwen3moe: Architecture = {
  name: "qwen3moe",
  classes: ["Qwen3MoeForCausalLM"],
  defaults: { ...QWEN_DEFAULTS, num_experts_per_tok: 8 },
  derived: QWEN_DERIVED,
  hyperparameters: QWEN_MOE_HYPERPARAMETERS,
  vocabulary: qwenMoeVocabulary,
  model: decoderModel(),
  block: [...qwen3Attention(), ...qwenExperts()],
  forward: { ...QWEN_FORWARD, experts: { gating: "softmax", normalized: true } },
  computation: [
    ...COMMON_COMPUTATION,
    NORMALIZED_EXPERTS,
    slidingWindow((config) =>
      config.optionalBoolean("use_sliding_window") ? config.optionalInteger("sliding_window") : undefined,
    ),
  ],
};
