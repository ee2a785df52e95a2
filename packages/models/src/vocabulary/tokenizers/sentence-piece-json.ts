import { fullVocabulary } from "../full-vocabulary.ts";
import { TOKEN_TYPE } from "../token-list.ts";
import type { TokenList } from "../token-list.ts";
import { TOKENIZER_JSON, malformedTokenizer } from "../tokenizer-files.ts";
import type { TokenizerJson } from "../tokenizer-files.ts";
import type { Tokenizer, TokenizerInput } from "./tokenizer.ts";

/** Score of every token: tokenizer.json does not have those of the SentencePiece model. */
const SCORE = -1000;

/** SentencePiece BPE of which only the tokenizer.json is there (gguf-py vocab.py `LlamaHfVocab`). */
export const sentencePieceJson: Tokenizer = {
  model: "llama",
  source: "tokenizer.json with model.type BPE and byte_fallback",
  preTokenized: false,
  merges: false,
  prefixesSpace: true,
  boundsSpecialTokens: true,
  async tokens(input) {
    const { tokenizer } = input.files;
    const suits =
      tokenizer?.modelType === "BPE" &&
      tokenizer.model["byte_fallback"] === true &&
      tokenizer.decoder?.["type"] === "Sequence";
    return suits ? tokensOf(tokenizer, input) : undefined;
  },
};

function tokensOf(tokenizer: TokenizerJson, { files, config }: TokenizerInput): TokenList {
  const { trained, added, named } = fullVocabulary({ files, tokenizer, config });
  const tokens = trained.map((text, id) => {
    if (text !== undefined) return text;
    throw malformedTokenizer(
      { file: TOKENIZER_JSON, key: "model.vocab" },
      `without holes (no token has id ${id})`,
    );
  });
  const specialIds = new Set([...named].map((content) => added.get(content)?.id));
  const types: number[] = tokens.map((text, id) => {
    if (/^<0x[0-9A-Fa-f]{2}>$/.test(text)) return TOKEN_TYPE.byte;
    return specialIds.has(id) ? TOKEN_TYPE.control : TOKEN_TYPE.normal;
  });

  const beyond = [...added.values()]
    .filter((token) => token.id >= trained.length)
    .sort((a, b) => a.id - b.id);
  for (const token of beyond) {
    if (token.id !== tokens.length) {
      const expected = `consecutive ids after the ${trained.length} trained tokens (no token has id ${tokens.length})`;
      throw malformedTokenizer({ file: TOKENIZER_JSON, key: "added_tokens" }, expected);
    }
    tokens.push(token.content);
    types.push(named.has(token.content) ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined);
  }
  return { tokens, types: Int32Array.from(types), scores: new Float32Array(tokens.length).fill(SCORE) };
}
