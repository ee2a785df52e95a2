/**
 * Where a tensor belongs, by its GGUF name: "blk.3.attn_q.weight" is "attn_q" of layer 3, "output.weight" is "output". Anything but
 * weights keeps its suffix.
 */
export function tensorPlace(name: string): { layer?: number; role: string } {
  const block = /^blk\.(\d{1,9})\.(.+)$/.exec(name);
  const role = (block?.[2] ?? name).replace(/\.weight$/, "");
  return block === null ? { role } : { layer: Number(block[1]), role };
}

/** Roles in the order in which models use them; others come behind, in the order in which they appear. */
const ORDER: readonly string[] = [
  "token_embd",
  "attn_qkv",
  "attn_q",
  "attn_q_a",
  "attn_q_b",
  "attn_k",
  "attn_kv_a_mqa",
  "attn_kv_b",
  "attn_k_b",
  "attn_v_b",
  "attn_v",
  "attn_output",
  "ffn_gate_inp",
  "ffn_gate",
  "ffn_up",
  "ffn_down",
  "ffn_gate_exps",
  "ffn_up_exps",
  "ffn_down_exps",
  "ffn_gate_shexp",
  "ffn_up_shexp",
  "ffn_down_shexp",
  "output",
];

/** Distinct roles in the order of the computation. */
export function sortRoles(roles: Iterable<string>): string[] {
  const rank = (role: string): number => (ORDER.includes(role) ? ORDER.indexOf(role) : ORDER.length);
  return [...new Set(roles)].sort((a, b) => rank(a) - rank(b));
}
