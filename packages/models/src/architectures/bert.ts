import type { Architecture } from "./architecture.ts";
import type { Config } from "./config.ts";
import { bool, COMMON_HYPERPARAMETERS, strings, uint32 } from "./hyperparameters.ts";
import { embedding, layerNorm, linear } from "./modules.ts";
import { COMMON_COMPUTATION, only } from "./computation-keys.ts";

const BLOCK = "encoder.layer.{layer}";
const ATTENTION = `${BLOCK}.attention`;
const REQUIRED = { hasBias: "always" } as const;

/** Names of the classes by number; the two that transformers invents do not count (conversion/bert.py). */
function classLabels(config: Config): readonly string[] | undefined {
  const labels = Object.entries(config.optionalObject("id2label") ?? {})
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, label]) => String(label));
  return labels.length === 2 && labels[0] === "LABEL_0" ? undefined : labels;
}

/** BERT as an embedding model (conversion/bert.py, `BertModel`). */
export const bert: Architecture = {
  name: "bert",
  classes: ["BertModel", "BertForMaskedLM"],
  defaults: { layer_norm_eps: 1e-12, type_vocab_size: 2 },
  hyperparameters: [
    ...COMMON_HYPERPARAMETERS,
    bool("attention.causal", () => false),
    uint32("pooling_type", (_config, { pooling }) => pooling),
    strings("classifier.output_labels", classLabels),
  ],
  vocabulary: (config) => ({
    tokenizers: ["wordpiece"],
    vocabularySize: config.integer("vocab_size"),
    tokenTypeCount: config.integer("type_vocab_size"),
  }),
  pooling: true,
  model: [
    embedding("embeddings.word_embeddings"),
    {
      role: "position-embedding",
      name: "position_embd",
      hf: "embeddings.position_embeddings",
      hasBias: "never",
    },
    {
      role: "token-type-embedding",
      name: "token_types",
      hf: "embeddings.token_type_embeddings",
      hasBias: "never",
    },
    layerNorm("token_embd_norm", "embeddings.LayerNorm"),
  ],
  block: [
    linear("q", "attn_q", `${ATTENTION}.self.query`, REQUIRED),
    linear("k", "attn_k", `${ATTENTION}.self.key`, REQUIRED),
    linear("v", "attn_v", `${ATTENTION}.self.value`, REQUIRED),
    linear("o", "attn_output", `${ATTENTION}.output.dense`, { input: "attn_v", ...REQUIRED }),
    layerNorm("attn_output_norm", `${ATTENTION}.output.LayerNorm`, { input: "attn_output" }),
    linear("up", "ffn_up", `${BLOCK}.intermediate.dense`, { input: "attn_output_norm", ...REQUIRED }),
    linear("down", "ffn_down", `${BLOCK}.output.dense`, { input: "ffn_up", ...REQUIRED }),
    layerNorm("layer_output_norm", `${BLOCK}.output.LayerNorm`, { input: "ffn_down" }),
  ],
  renames: [
    [/^bert\./, ""],
    [/\.gamma$/, ".weight"],
    [/\.beta$/, ".bias"],
  ],
  // What only the training tasks need, and the numbers 0, 1, 2, ...
  ignored: [
    /^embeddings\.position_ids$/,
    /^pooler\.dense\.(weight|bias)$/,
    /^cls\.(predictions|seq_relationship)/,
  ],
  forward: {
    norm: "layer",
    attention: { residual: "attn_output_norm" },
    feedForward: { residual: "layer_output_norm", activation: "gelu" },
  },
  computation: [
    ...COMMON_COMPUTATION,
    only("position_embedding_type", "absolute"),
    only("is_decoder", false),
  ],
};
