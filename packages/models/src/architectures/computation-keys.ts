import type { Hyperparameter } from "./architecture.ts";
import type { Config } from "./config.ts";
import { bool, bools, float32, ROPE_SCALING, string, uint32 } from "./hyperparameters.ts";
import { ropeParameters } from "./rope.ts";

/*
 * What a model computes with and GGUF has no key for, because llama.cpp knows it by the architecture or leaves it out. Only the
 * forward pass reads these keys; no file has them.
 */

/** Values that transformers reads for many families, and Llama's frequencies, which are a tensor in its descendants' files. */
export const LLAMA_COMPUTATION: readonly Hyperparameter[] = [
  ...ROPE_SCALING,
  float32("rope.freq_base", (config) => ropeParameters(config).full.optionalNumber("rope_theta")),
  string("feed_forward.activation", (config) =>
    config.optionalString("hidden_activation", "hidden_act", "activation_function", "activation"),
  ),
  bool("rope.scaling.yarn_truncate", (config) => ropeParameters(config).full.optionalBoolean("truncate")),
  float32("rope.scaling.yarn_attn_factor", yarnFactor),
  bools("attention.sliding_window_pattern", slidingBlocks),
];

/** The same without these frequencies. */
export const COMMON_COMPUTATION: readonly Hyperparameter[] = [
  ...LLAMA_COMPUTATION,
  {
    key: "rope.scaling.type",
    value({ config }) {
      const rope = ropeParameters(config).full;
      if (rope.optionalString("rope_type") === "llama3") {
        throw rope.error(["rope_type", "type"], "a kind that this architecture has, which llama3 is not");
      }
      return undefined;
    },
  },
];

/** A window that all blocks have, which llama.cpp leaves out. */
export function slidingWindow(value: (config: Config) => number | undefined): Hyperparameter {
  return uint32("attention.sliding_window", value);
}

/** Of `Qwen2Config` and `SmolLM3Config`. */
const DEFAULT_WINDOW_LAYERS = 28;

/** Qwen's window, which only some of its models use, from a certain block on. */
export const QWEN_WINDOW: readonly Hyperparameter[] = [
  slidingWindow((config) =>
    config.optionalBoolean("use_sliding_window") ? config.optionalInteger("sliding_window") : undefined,
  ),
  bools("attention.sliding_window_pattern", (config) => {
    const first = config.optionalInteger("max_window_layers") ?? DEFAULT_WINDOW_LAYERS;
    return slidingBlocks(config) ?? blocksOf(config).map((layer) => layer >= first);
  }),
];

/** Refuses a value of the configuration that makes the model compute something else. */
export function only(key: string, expected: boolean | string): Hyperparameter {
  return {
    key,
    value({ config }) {
      const value = config.value(key);
      if (value !== undefined && value !== expected) throw config.error([key], JSON.stringify(expected));
      return undefined;
    },
  };
}

/** Of `Gemma2Config` and `Gemma3TextConfig`. */
const DEFAULT_QUERY_SCALAR = 256;

/** Factor of the scores as a power of the number that they are scaled by. */
export const QUERY_SCALAR: Hyperparameter = float32(
  "attention.scale",
  (config) => (config.optionalNumber("query_pre_attn_scalar") ?? DEFAULT_QUERY_SCALAR) ** -0.5,
);

/** Whether the weights of the chosen experts are made to add up to 1, as Qwen's configuration says. */
export const NORMALIZED_EXPERTS: Hyperparameter = bool(
  "expert_weights_norm",
  (config) => config.optionalBoolean("norm_topk_prob") ?? false,
);

/** DeepSeek's two factors of YaRN as one, where they do not cancel out (transformers, `_compute_yarn_parameters`). */
function yarnFactor(config: Config): number | undefined {
  const rope = ropeParameters(config).full;
  const given = rope.optionalNumber("attention_factor");
  if (given !== undefined) return given;
  const [factor, scale, scaleAll] = ["factor", "mscale", "mscale_all_dim"].map((key) =>
    rope.optionalNumber(key),
  );
  if (!factor || factor <= 1 || !scale || !scaleAll) return undefined;
  const magnitude = (multiplier: number): number => 0.1 * multiplier * Math.log(factor) + 1;
  return magnitude(scale) / magnitude(scaleAll);
}

/** Which blocks have a sliding window, where the configuration lists them. */
function slidingBlocks(config: Config): readonly boolean[] | undefined {
  return config.optionalStrings("layer_types")?.map((type) => {
    if (type === "sliding_attention" || type === "full_attention") return type === "sliding_attention";
    throw config.error(["layer_types"], "sliding_attention or full_attention");
  });
}

function blocksOf(config: Config): number[] {
  return Array.from({ length: config.integer("num_hidden_layers") }, (_, layer) => layer);
}
