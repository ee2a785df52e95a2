/** The kinds of tensors that mixtures tell apart. */
export type TensorCategory =
  | "output"
  | "tokenEmbedding"
  /** Matrices that hold the attention's values, alone or with others. */
  | "attentionValue"
  | "attentionKey"
  | "attentionQuery"
  | "attentionOutput"
  | "ffnUp"
  | "ffnGate"
  | "ffnDown"
  | "other";

const WHOLE_NAMES: ReadonlyMap<string, TensorCategory> = new Map([
  ["output.weight", "output"],
  ["token_embd.weight", "tokenEmbedding"],
  ["per_layer_token_embd.weight", "tokenEmbedding"],
]);

/** The first that occurs in a name decides (llama-quant.cpp, `tensor_get_category`). */
const NAME_PARTS: readonly (readonly [part: string, category: TensorCategory])[] = [
  ["attn_qkv.weight", "attentionValue"],
  ["attn_kv_b.weight", "attentionValue"],
  ["attn_v.weight", "attentionValue"],
  ["attn_k.weight", "attentionKey"],
  ["attn_q.weight", "attentionQuery"],
  ["attn_output.weight", "attentionOutput"],
  ["ffn_up", "ffnUp"],
  ["ffn_gate", "ffnGate"],
  ["ffn_down", "ffnDown"],
];

/** The category of a tensor by its GGUF name. */
export function tensorCategory(name: string): TensorCategory {
  return WHOLE_NAMES.get(name) ?? NAME_PARTS.find(([part]) => name.includes(part))?.[1] ?? "other";
}

/** Number of the block that a tensor belongs to: 7 of "blk.7.attn_q.weight"; undefined for those outside blocks. */
export function blockOf(name: string): number | undefined {
  const digits = /^blk\.(\d+)/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
