import { ggufUint32 } from "@quern/gguf";
import { TOKEN_TYPE } from "../token-list.ts";
import { TOKEN_TYPE_COUNT } from "../tokenizer-keys.ts";
import { listedTokens } from "./listed-tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";

const CONTINUATION = "##";
const PHANTOM_SPACE = "\u2581";

/**
 * WordPiece, from tokenizer.json (conversion/bert.py `BertModel.set_vocab`). llama.cpp wants the start of a word marked (with a
 * "phantom space") rather than its continuation.
 */
export const wordPiece: Tokenizer = {
  model: "bert",
  source: "tokenizer.json with model.type WordPiece",
  preTokenized: true,
  merges: false,
  prefixesSpace: false,
  boundsSpecialTokens: true,
  async tokens(input) {
    const list = listedTokens(input, "WordPiece");
    if (list === undefined) return undefined;
    const tokens = list.tokens.map((token, id) => {
      if (list.types[id] === TOKEN_TYPE.control) return token;
      return token.startsWith(CONTINUATION) ? token.slice(CONTINUATION.length) : PHANTOM_SPACE + token;
    });
    const { tokenTypeCount } = input;
    if (tokenTypeCount === undefined) return { ...list, tokens };
    return { ...list, tokens, before: new Map([[TOKEN_TYPE_COUNT, ggufUint32(tokenTypeCount)]]) };
  },
};
