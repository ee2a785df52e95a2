import { QuernError } from "@quern/tensor";
import type {
  AttentionGraph,
  HeadsAttentionGraph,
  LatentAttentionGraph,
  NormGraph,
  RopeGraph,
} from "../graph.ts";
import { type BlockContext, planNorms } from "./plan-context.ts";
import { planRope } from "./plan-rope.ts";

/** Where most families have their norm of attention. */
const NORM_PLACES = { before: ["attn_norm"] };

interface Heads {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly valueSize: number;
}

export function planAttention(context: BlockContext): AttentionGraph {
  return context.record.attention.kind === "latent" ? planLatent(context) : planHeads(context);
}

function planHeads(context: BlockContext): HeadsAttentionGraph {
  const { record, hyperparameters, block, width } = context;
  const { attention } = record;
  const sizes = headSizes(context);
  const { heads, keyValueHeads, headSize, valueSize } = sizes;
  const [queries, keys, values] = [heads * headSize, keyValueHeads * headSize, keyValueHeads * valueSize];
  const window = windowOf(context);
  const rotated = hyperparameters.optionalInteger("rope.dimension_count") ?? headSize;
  const rope = ropeOf(context, { slides: window !== undefined, rotated, headSize });
  const softCap = hyperparameters.optionalNumber("attn_logit_softcapping");
  return {
    kind: "heads",
    norms: planNorms(context, { ...NORM_PLACES, ...attention }),
    projections: block.has("attn_qkv")
      ? { qkv: block.linear("attn_qkv", { inputs: width, outputs: queries + keys + values }) }
      : {
          q: block.linear("attn_q", { inputs: width, outputs: queries }),
          k: block.linear("attn_k", { inputs: width, outputs: keys }),
          v: block.linear("attn_v", { inputs: width, outputs: values }),
        },
    ...sizes,
    ...headNorms(context, sizes),
    ...(rope !== undefined && { rope }),
    ...(window !== undefined && { window }),
    bidirectional: hyperparameters.optionalBoolean("attention.causal") === false,
    scale: scaleOf(context, headSize),
    ...(softCap && { softCap }),
    ...(block.has("attn_sinks") && { sinks: block.module("attn_sinks") }),
    output: block.linear("attn_output", { inputs: heads * valueSize, outputs: width }),
  };
}

/** DeepSeek's latent attention, with the tensors of llama.cpp's converter (deepseek2.cpp). */
function planLatent(context: BlockContext): LatentAttentionGraph {
  const { record, hyperparameters, block, width, epsilon } = context;
  const heads = hyperparameters.integer("attention.head_count");
  const latent = hyperparameters.integer("attention.kv_lora_rank");
  const rotated = hyperparameters.integer("rope.dimension_count");
  const headSize = hyperparameters.integer("attention.key_length_mla");
  const valueSize = hyperparameters.integer("attention.value_length_mla");
  const compresses = block.has("attn_q_a");
  const queryDown = compresses ? block.linear("attn_q_a", { inputs: width }) : undefined;
  const norm = (module: string, size: number): NormGraph =>
    block.norm(module, { kind: record.norm, epsilon, size });
  const rope = ropeOf(context, { slides: false, rotated, headSize });
  return {
    kind: "latent",
    norms: planNorms(context, { ...NORM_PLACES, ...record.attention }),
    heads,
    query: block.linear(compresses ? "attn_q_b" : "attn_q", {
      inputs: queryDown?.outputs ?? width,
      outputs: heads * headSize,
    }),
    ...(queryDown && {
      compressedQuery: { down: queryDown, norm: norm("attn_q_a_norm", queryDown.outputs) },
    }),
    keyValueDown: block.linear("attn_kv_a_mqa", { inputs: width, outputs: latent + rotated }),
    keyValueNorm: norm("attn_kv_a_norm", latent),
    keyUp: block.stacked("attn_k_b", { matrices: heads, inputs: headSize - rotated, outputs: latent }),
    valueUp: block.stacked("attn_v_b", { matrices: heads, inputs: latent, outputs: valueSize }),
    ...(rope !== undefined && { rope }),
    scale: scaleOf(context, headSize),
    output: block.linear("attn_output", { inputs: heads * valueSize, outputs: width }),
  };
}

function headSizes({ hyperparameters, width }: BlockContext): Heads {
  const heads = hyperparameters.integer("attention.head_count");
  const keyValueHeads = hyperparameters.optionalInteger("attention.head_count_kv") ?? heads;
  const headSize = hyperparameters.optionalInteger("attention.key_length") ?? Math.floor(width / heads);
  const valueSize = hyperparameters.optionalInteger("attention.value_length") ?? headSize;
  if (heads > 0 && keyValueHeads > 0 && heads % keyValueHeads === 0) {
    return { heads, keyValueHeads, headSize, valueSize };
  }
  throw new QuernError(
    "FORWARD_METADATA",
    `${heads} heads cannot share ${keyValueHeads} heads of keys and values: expected a divisor`,
    { subject: { key: "attention.head_count_kv" } },
  );
}

function headNorms(
  { record, block, epsilon }: BlockContext,
  { heads, keyValueHeads, headSize }: Heads,
): Pick<HeadsAttentionGraph, "queryNorm" | "keyNorm"> {
  const kind = record.norm;
  const norm = (module: string, count: number): NormGraph => {
    const sizes = {
      shared: { size: headSize },
      "per-head": { size: headSize, weights: count * headSize },
      whole: { size: count * headSize },
    };
    return block.norm(module, { kind, epsilon, ...sizes[record.attention.queryKeyNorm ?? "shared"] });
  };
  return {
    ...(block.has("attn_q_norm") && { queryNorm: norm("attn_q_norm", heads) }),
    ...(block.has("attn_k_norm") && { keyNorm: norm("attn_k_norm", keyValueHeads) }),
  };
}

/** Tokens that this block sees; undefined: all. */
function windowOf({ record, hyperparameters, layer }: BlockContext): number | undefined {
  const window = hyperparameters.optionalInteger("attention.sliding_window");
  if (!window) return undefined;
  const listed = hyperparameters.optionalBooleanOf("attention.sliding_window_pattern", layer);
  const { fullEvery } = record.attention;
  const slides = listed ?? (fullEvery === undefined || (layer + 1) % fullEvery !== 0);
  return slides ? window : undefined;
}

function ropeOf(
  { record, hyperparameters, model, layer }: BlockContext,
  params: { slides: boolean; rotated: number; headSize: number },
): RopeGraph | undefined {
  const { rope } = record.attention;
  const { slides, rotated, headSize } = params;
  if (rope === undefined || rope.rotates?.({ hyperparameters, layer, slides }) === false) return undefined;
  if (rotated % 2 !== 0 || rotated > headSize) {
    throw new QuernError(
      "FORWARD_METADATA",
      `rope.dimension_count is ${rotated}: expected an even number up to ${headSize}, the size of a head`,
      { subject: { key: "rope.dimension_count" } },
    );
  }
  return planRope({ record: rope, hyperparameters, tensors: model, slides, rotated });
}

function scaleOf({ record, hyperparameters }: BlockContext, headSize: number): number {
  return (
    (hyperparameters.optionalNumber("attention.scale") || undefined) ??
    record.attention.scale?.(hyperparameters) ??
    1 / Math.sqrt(headSize)
  );
}
