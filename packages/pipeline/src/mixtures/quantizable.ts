/** Parts of the names of matrices that stay as they are (llama-quant.cpp, `tensor_allows_quantization`). */
const KEPT_PARTS: readonly string[] = [
  "_norm.weight",
  // Routers
  "ffn_gate_inp.weight",
  "ffn_gate_tid2eid.weight",
  // Gemma 3n
  "altup",
  "laurel",
  "per_layer_model_proj",
  // Convolutions of Mamba, Kimi and LFM2
  "ssm_conv1d",
  "shortconv.conv.weight",
  // Attention indexer of MiniMax
  "indexer.k_proj.weight",
  "indexer.q_proj.weight",
  // RWKV
  "time_mix_first.weight",
  "time_mix_w0.weight",
  "time_mix_w1.weight",
  "time_mix_w2.weight",
  "time_mix_v0.weight",
  "time_mix_v1.weight",
  "time_mix_v2.weight",
  "time_mix_a0.weight",
  "time_mix_a1.weight",
  "time_mix_a2.weight",
  "time_mix_g1.weight",
  "time_mix_g2.weight",
  "time_mix_decay_w1.weight",
  "time_mix_decay_w2.weight",
  "time_mix_lerp_fused.weight",
  // Relative positions of T5
  "attn_rel_b.weight",
  // Vision and audio
  ".position_embd",
  "sam.pos_embd",
  "sam.neck.",
  "sam.net_",
  ".rel_pos",
  ".patch_embd",
  ".patch_merger",
  "a.rvq.codebook",
  "mm.a.code_embd",
];

const KEPT_NAMES: ReadonlySet<string> = new Set(["position_embd.weight", "token_types.weight"]);

/**
 * Whether `llama-quantize` gives a tensor another type at all: matrices of weights, but for those that are small and sensitive.
 *
 * @param ne ggml order, without dimensions of 1 at the end.
 */
export function isQuantizable(name: string, ne: readonly number[]): boolean {
  return (
    ne.length >= 2 &&
    name.endsWith("weight") &&
    !KEPT_NAMES.has(name) &&
    !KEPT_PARTS.some((part) => name.includes(part))
  );
}
