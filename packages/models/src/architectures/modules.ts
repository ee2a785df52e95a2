import { stack } from "../expressions/operations/stack.ts";
import type { Module, TensorRecipe } from "./architecture.ts";
import type { Config } from "./config.ts";
import type { ModuleRole } from "./module-role.ts";

/** Prefix of the block's modules in most decoders of transformers. */
export const LAYER = "model.layers.{layer}";

type Options = Partial<Omit<Module, "role" | "name" | "hf">>;
type Make = NonNullable<TensorRecipe["make"]>;

/** A linear layer; its output rows may be stored in another order, which goes for the bias too. */
export function linear(
  role: ModuleRole,
  name: string,
  hf: string,
  { make, ...options }: Options & { readonly make?: Make } = {},
): Module {
  const rules =
    make === undefined
      ? {}
      : { weight: [{ from: [`${hf}.weight`], make }], bias: [{ from: [`${hf}.bias`], make }] };
  return { role, name, hf, ...rules, ...options };
}

/** A norm with a weight alone (RMSNorm). */
export function norm(name: string, hf: string, options: Options = {}): Module {
  return { role: "norm", name, hf, hasBias: "never", ...options };
}

/** A norm with a weight and a bias (LayerNorm). */
export function layerNorm(name: string, hf: string, options: Options = {}): Module {
  return { role: "norm", name, hf, hasBias: "always", ...options };
}

export function embedding(hf: string, options: Options = {}): Module {
  return { role: "embedding", name: "token_embd", hf, hasBias: "never", ...options };
}

/** The output projection; absent where it is tied to the embedding. */
export function output(hf: string, options: Options = {}): Module {
  return {
    role: "output",
    name: "output",
    hf,
    input: "output_norm",
    hasBias: "optional",
    optional: isTied,
    ...options,
  };
}

/** Embedding, last norm and output, as most decoders of transformers call them. */
export function decoderModel(): Module[] {
  return [embedding("model.embed_tokens"), norm("output_norm", "model.norm"), output("lm_head")];
}

/** Q, K, V and O projections, as most decoders of transformers call them. */
export function selfAttention(
  params: {
    /** Absent: Q, K and V read the residual stream. */
    readonly input?: string;
    readonly q?: Make;
    readonly k?: Make;
    /** Biases of Q, K and V. @default "optional" */
    readonly hasBias?: Module["hasBias"];
    /** Bias of O. @default "optional" */
    readonly outputHasBias?: Module["hasBias"];
  } = {},
): Module[] {
  const { q, k, hasBias = "optional", outputHasBias = "optional" } = params;
  const from = params.input === undefined ? {} : { input: params.input };
  const attention = `${LAYER}.self_attn`;
  return [
    linear("q", "attn_q", `${attention}.q_proj`, { ...from, hasBias, ...(q && { make: q }) }),
    linear("k", "attn_k", `${attention}.k_proj`, { ...from, hasBias, ...(k && { make: k }) }),
    linear("v", "attn_v", `${attention}.v_proj`, { ...from, hasBias }),
    linear("o", "attn_output", `${attention}.o_proj`, { input: "attn_v", hasBias: outputHasBias }),
  ];
}

/**
 * Gate, up and down projections of a gated feed-forward network.
 *
 * @param params.input Absent: gate and up read the residual stream.
 */
export function gatedFeedForward(params: Pick<Module, "input" | "when" | "hasBias">): Module[] {
  const { input, ...rest } = params;
  const from = input === undefined ? {} : { input };
  return [
    linear("gate", "ffn_gate", `${LAYER}.mlp.gate_proj`, { ...from, ...rest }),
    linear("up", "ffn_up", `${LAYER}.mlp.up_proj`, { ...from, ...rest }),
    linear("down", "ffn_down", `${LAYER}.mlp.down_proj`, { input: "ffn_up", ...rest }),
  ];
}

/** Largest number of experts that llama.cpp loads (llama-hparams.h, `LLAMA_MAX_EXPERTS`). */
const LARGEST_EXPERT_COUNT = 1024;

/**
 * The same projection of all experts as one tensor.
 *
 * @param params.hf Name with `{index}` for the number of the expert.
 * @param params.stacked Name where all experts are one module (mlx-lm).
 * @param params.count Configuration keys of the number of experts.
 * @param params.merged How it is made from a checkpoint that has merged the experts itself.
 */
export function experts(
  role: ModuleRole,
  name: string,
  params: {
    readonly hf: string;
    readonly stacked: string;
    readonly count: readonly string[];
    readonly input: string;
    readonly merged?: TensorRecipe;
    readonly when?: Module["when"];
  },
): Module {
  const { hf, stacked, count, input, merged, when } = params;
  const apart: TensorRecipe = {
    from: [`${hf}.weight`],
    count: (config) => config.count({ keys: count, limit: LARGEST_EXPERT_COUNT }),
    make: (sources) => stack(sources.map(({ expression }) => expression)),
    together: "experts",
  };
  return {
    role,
    name,
    hf,
    input,
    hasBias: "never",
    weight: [apart, { from: [`${stacked}.weight`] }, ...(merged === undefined ? [] : [merged])],
    experts: { each: hf, apart: true, stacked },
    ...(when === undefined ? {} : { when }),
  };
}

function isTied(config: Config): boolean {
  return config.optionalBoolean("tie_word_embeddings") ?? false;
}
