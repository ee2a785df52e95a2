import { packMxfp4 } from "../expressions/operations/pack-mxfp4.ts";
import { reshape } from "../expressions/operations/reshape.ts";
import { slice } from "../expressions/operations/slice.ts";
import { transpose } from "../expressions/operations/transpose.ts";
import type { TensorExpression } from "../expressions/expression.ts";
import type { Architecture, Module, SourceTensor, TensorRecipe } from "./architecture.ts";
import { attentionHeads, COMMON_HYPERPARAMETERS, headDimension, uint32 } from "./hyperparameters.ts";
import { decoderModel, LAYER, linear, norm, selfAttention } from "./modules.ts";
import { COMMON_COMPUTATION } from "./computation-keys.ts";

const EXPERTS = `${LAYER}.mlp.experts`;
const MXFP4 = { type: "MXFP4", blockSize: 32, blockBytes: 17 };

/** Which rows of a tensor [experts, rows, ...] a projection has: in the fused one, gate and up take turns. */
interface RowsOf {
  readonly tensor: string;
  readonly start: number;
  readonly step: number;
}

function everyRow({ expression, shape }: SourceTensor, { start, step }: RowsOf): TensorExpression {
  return step === 1 ? expression : slice(expression, { axis: 1, start, stop: shape[1] ?? 0, step });
}

/**
 * Experts in MXFP4, [experts, rows, blocks, 16 bytes] and a scale per block, in floating point, [experts, inputs, rows], or as mlx-lm has
 * them, gate and up apart, [experts, rows, inputs].
 */
function expertWeights(rows: RowsOf, stacked: string): readonly TensorRecipe[] {
  return [
    {
      from: [`${EXPERTS}.${rows.tensor}_blocks`, `${EXPERTS}.${rows.tensor}_scales`],
      packed: MXFP4,
      make: ([blocks, scales]) => {
        const [experts = 0, outputs = 0, groups = 0, bytes = 0] = blocks!.shape;
        const shape = [experts, outputs, groups * bytes];
        const codes = { expression: reshape(blocks!.expression, shape), shape };
        return packMxfp4(everyRow(codes, rows), everyRow(scales!, rows));
      },
    },
    {
      from: [`${EXPERTS}.${rows.tensor}`],
      make: ([tensor]) => {
        const [experts = 0, inputs = 0, outputs = 0] = tensor!.shape;
        return everyRow(
          { expression: transpose(tensor!.expression), shape: [experts, outputs, inputs] },
          rows,
        );
      },
    },
    { from: [`${stacked}.weight`] },
  ];
}

/**
 * Nothing loads the experts as modules of their own: where there are such (llm-compressor, GPTQModel), their "gate_proj" is the first half
 * of the rows of which gate and up take turns.
 *
 * @param params.stacked What mlx-lm calls them.
 */
function expert(
  role: Module["role"],
  name: string,
  { input, stacked, rows }: { readonly input: string; readonly stacked: string; readonly rows: RowsOf },
): Module {
  const own = `${EXPERTS}.${stacked}`;
  return {
    role,
    name,
    hf: `${EXPERTS}.${rows.tensor}`,
    input,
    weight: expertWeights(rows, own),
    bias: [
      { from: [`${EXPERTS}.${rows.tensor}_bias`], make: ([tensor]) => everyRow(tensor!, rows) },
      { from: [`${own}.bias`] },
    ],
    hasBias: "always",
    experts: { each: `${EXPERTS}.{index}.${stacked}`, apart: false, stacked: own },
  };
}

/** GPT-OSS (conversion/gpt_oss.py). */
export const gptOss: Architecture = {
  name: "gpt-oss",
  classes: ["GptOssForCausalLM"],
  defaults: {
    num_experts_per_tok: 4,
    rms_norm_eps: 1e-5,
    rope_scaling: {
      rope_type: "yarn",
      factor: 32,
      beta_fast: 32,
      beta_slow: 1,
      original_max_position_embeddings: 4096,
      truncate: false,
    },
    rope_theta: 150_000,
    sliding_window: 128,
    tie_word_embeddings: false,
  },
  derived: { num_key_value_heads: attentionHeads, head_dim: headDimension },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    uint32("attention.sliding_window", (config) => config.integer("sliding_window")),
    uint32("expert_feed_forward_length", (config) => config.integer("intermediate_size")),
  ],
  vocabulary: (config) => ({ tokenizers: ["byte-level-bpe"], vocabularySize: config.integer("vocab_size") }),
  quantization: { method: "mxfp4", fileType: 38 },
  model: decoderModel(),
  block: [
    norm("attn_norm", `${LAYER}.input_layernorm`),
    ...selfAttention({ input: "attn_norm" }),
    {
      role: "sinks",
      name: "attn_sinks",
      hf: `${LAYER}.self_attn.sinks`,
      weight: [{ from: [`${LAYER}.self_attn.sinks`] }],
      hasBias: "never",
    },
    norm("post_attention_norm", `${LAYER}.post_attention_layernorm`),
    linear("router", "ffn_gate_inp", `${LAYER}.mlp.router`, {
      input: "post_attention_norm",
      hasBias: "always",
    }),
    expert("expert-down", "ffn_down_exps", {
      input: "ffn_up_exps",
      stacked: "down_proj",
      rows: { tensor: "down_proj", start: 0, step: 1 },
    }),
    expert("expert-gate", "ffn_gate_exps", {
      input: "post_attention_norm",
      stacked: "gate_proj",
      rows: { tensor: "gate_up_proj", start: 0, step: 2 },
    }),
    expert("expert-up", "ffn_up_exps", {
      input: "post_attention_norm",
      stacked: "up_proj",
      rows: { tensor: "gate_up_proj", start: 1, step: 2 },
    }),
  ],
  forward: {
    norm: "rms",
    attention: { rope: { layout: "halves" }, fullEvery: 2 },
    feedForward: { before: ["post_attention_norm"], activation: "swiglu-oai" },
    experts: { gating: "selected-softmax", normalized: false },
  },
  // Whatever the configuration calls the activation, it is the one of the record (transformers, `GptOssExperts`).
  computation: COMMON_COMPUTATION.filter(({ key }) => key !== "feed_forward.activation"),
};
