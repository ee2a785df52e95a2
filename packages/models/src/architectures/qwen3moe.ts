import type { Architecture } from "./architecture.ts";
import { decoderModel } from "./modules.ts";
import { QWEN_DEFAULTS, QWEN_DERIVED } from "./qwen2.ts";
import { QWEN_MOE_HYPERPARAMETERS, qwenExperts, qwenMoeVocabulary } from "./qwen2moe.ts";
import { qwen3Attention } from "./qwen3.ts";

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
};
