import { listedTokens } from "./listed-tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** BPE with a pre-tokenizer, from tokenizer.json (conversion/base.py `_set_vocab_gpt2`). */
export const byteLevelBpe: Tokenizer = {
  model: "gpt2",
  source: "tokenizer.json with model.type BPE",
  preTokenized: true,
  merges: true,
  prefixesSpace: false,
  boundsSpecialTokens: false,
  tokens: async (input) => listedTokens(input, "BPE"),
};
