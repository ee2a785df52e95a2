import { ggufArray, ggufBool, ggufFloat32, ggufString, ggufUint32 } from "@quern/gguf";
import { FILE_TYPE, type Hyperparameter, type ModelFacts } from "./architecture.ts";
import type { Config } from "./config.ts";
import { ropeParameters } from "./rope.ts";

type Value<T> = (config: Config, facts: ModelFacts) => T | undefined;

export function uint32(key: string, value: Value<number>): Hyperparameter {
  return hyperparameter(key, value, ggufUint32);
}

export function float32(key: string, value: Value<number>): Hyperparameter {
  return hyperparameter(key, value, ggufFloat32);
}

export function bool(key: string, value: Value<boolean>): Hyperparameter {
  return hyperparameter(key, value, ggufBool);
}

export function string(key: string, value: Value<string>): Hyperparameter {
  return hyperparameter(key, value, ggufString);
}

/** An empty array is not written, as in gguf-py. */
export function strings(key: string, value: Value<readonly string[]>): Hyperparameter {
  return hyperparameter(key, nonEmpty(value), (list) => ggufArray("string", list));
}

/** An empty array is not written, as in gguf-py. */
export function bools(key: string, value: Value<readonly boolean[]>): Hyperparameter {
  return hyperparameter(key, nonEmpty(value), (list) => ggufArray("bool", list));
}

/** The place of `general.file_type`. */
export const fileType: Hyperparameter = { key: FILE_TYPE, value: () => undefined };

/** Numbers of llama.cpp for how experts are weighted (gguf-py, `ExpertGatingFuncType`). */
const GATING_FUNCTIONS: Readonly<Record<string, number>> = { softmax: 1, sigmoid: 2, sqrtsoftplus: 4 };
const GATING_KEYS = ["score_function", "scoring_func", "score_func", "moe_router_activation"];

/** Keys of rotary position scaling (conversion/base.py, `TextModel.set_gguf_parameters`). */
export const ROPE_SCALING: readonly Hyperparameter[] = [
  string("rope.scaling.type", (config) => ropeScaling(config)?.type),
  float32("rope.scaling.factor", (config) => factorOf(config, ["linear", "yarn"])),
  uint32("rope.scaling.original_context_length", (config) =>
    factorOf(config, ["yarn"]) === undefined
      ? undefined
      : ropeParameters(config).full.integer("original_max_position_embeddings"),
  ),
  float32("rope.scaling.yarn_ext_factor", (config) => yarn(config, "extrapolation_factor")),
  float32("rope.scaling.yarn_attn_factor", (config) => yarn(config, "attention_factor", "attn_factor")),
  float32("rope.scaling.yarn_beta_fast", (config) => yarn(config, "beta_fast")),
  float32("rope.scaling.yarn_beta_slow", (config) => yarn(config, "beta_slow")),
];

/** What most families write, in this order (conversion/base.py, `TextModel.set_gguf_parameters`). */
export const COMMON_HYPERPARAMETERS: readonly Hyperparameter[] = [
  uint32("block_count", (config) => config.integer("num_hidden_layers", "n_layer")),
  uint32("context_length", (config) => config.integer("max_position_embeddings", "n_ctx", "n_positions")),
  uint32("embedding_length", (config) => config.integer("hidden_size", "n_embd")),
  uint32("feed_forward_length", (config) => config.optionalInteger("intermediate_size", "n_inner")),
  uint32("attention.head_count", (config) => config.integer("num_attention_heads", "n_head")),
  uint32("attention.head_count_kv", (config) => config.optionalInteger("num_key_value_heads")),
  bool("attention.causal", (config) => (config.optionalBoolean("is_causal") === false ? false : undefined)),
  ...ROPE_SCALING,
  float32("rope.freq_base", (config) => ropeParameters(config).full.optionalNumber("rope_theta")),
  float32("rope.freq_base_swa", (config) => ropeParameters(config).sliding?.optionalNumber("rope_theta")),
  float32("attention.layer_norm_rms_epsilon", (config) => config.optionalNumber("rms_norm_eps", "norm_eps")),
  float32("attention.layer_norm_epsilon", (config) =>
    config.optionalNumber("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
  ),
  uint32("expert_count", (config) =>
    config.optionalInteger("num_local_experts", "num_experts", "n_routed_experts"),
  ),
  uint32("expert_used_count", (config) =>
    config.optionalInteger("num_experts_per_tok", "num_experts_per_token"),
  ),
  uint32("expert_group_count", (config) => config.optionalInteger("n_group")),
  uint32("expert_group_used_count", (config) => config.optionalInteger("topk_group")),
  uint32("expert_gating_func", (config) => {
    const name = config.optionalString(...GATING_KEYS);
    if (name === undefined || Object.hasOwn(GATING_FUNCTIONS, name)) return GATING_FUNCTIONS[name ?? ""];
    throw config.error(GATING_KEYS, Object.keys(GATING_FUNCTIONS).join(" or "));
  }),
  uint32("attention.key_length", (config) => config.optionalInteger("head_dim")),
  uint32("attention.value_length", (config) => config.optionalInteger("head_dim")),
  fileType,
];

/** Most attention heads, and elements of one, that are taken for real. */
const LARGEST_HEAD_COUNT = 65_536;
const LARGEST_HEAD = 65_536;

export function attentionHeads(config: Config): number {
  return config.count({ keys: ["num_attention_heads", "n_head"], limit: LARGEST_HEAD_COUNT });
}

/** Elements of one attention head: `head_dim`, or an even share of `hidden_size`. */
export function headDimension(config: Config): number {
  const given = config.optionalInteger("head_dim");
  const size = given ?? Math.floor(config.integer("hidden_size") / attentionHeads(config));
  if (size <= LARGEST_HEAD) return size;
  throw config.error(
    [given === undefined ? "hidden_size" : "head_dim"],
    `heads of at most ${LARGEST_HEAD} elements`,
  );
}

function hyperparameter<T>(
  key: string,
  value: Value<T>,
  make: (value: T) => ReturnType<Hyperparameter["value"]>,
): Hyperparameter {
  return {
    key,
    value(facts) {
      const known = value(facts.config, facts);
      return known === undefined ? undefined : make(known);
    },
  };
}

function nonEmpty<T>(value: Value<readonly T[]>): Value<readonly T[]> {
  return (config, facts) => {
    const list = value(config, facts);
    return list === undefined || list.length === 0 ? undefined : list;
  };
}

interface RopeScaling {
  /** llama.cpp's name. */
  readonly type: string;
  readonly factor?: number;
}

/** Kinds of `rope_type` that become keys; true for those that do nothing without a factor. */
const SCALING_TYPES: ReadonlyMap<string, { readonly type: string; readonly needsFactor: boolean }> = new Map([
  ["linear", { type: "linear", needsFactor: true }],
  ["yarn", { type: "yarn", needsFactor: true }],
  ["longrope", { type: "longrope", needsFactor: false }],
  ["su", { type: "longrope", needsFactor: false }],
]);

/** Kinds that need no key: nothing is scaled, or only far contexts, or a tensor holds the factors. */
const SILENT_TYPES: ReadonlySet<string> = new Set(["default", "dynamic", "llama3"]);

function ropeScaling(config: Config): RopeScaling | undefined {
  const rope = ropeParameters(config).full;
  const name = rope.optionalString("rope_type");
  if (name === undefined || SILENT_TYPES.has(name)) return undefined;
  const scaling = SCALING_TYPES.get(name);
  if (scaling === undefined) {
    throw rope.error(["rope_type"], `one of ${[...SILENT_TYPES, ...SCALING_TYPES.keys()].join(", ")}`);
  }
  if (!scaling.needsFactor) return { type: scaling.type };
  const factor = rope.optionalNumber("factor");
  return factor === undefined ? undefined : { type: scaling.type, factor };
}

function factorOf(config: Config, types: readonly string[]): number | undefined {
  const scaling = ropeScaling(config);
  return scaling !== undefined && types.includes(scaling.type) ? scaling.factor : undefined;
}

function yarn(config: Config, ...keys: string[]): number | undefined {
  return factorOf(config, ["yarn"]) === undefined
    ? undefined
    : ropeParameters(config).full.optionalNumber(...keys);
}
