import { QuernError } from "@quern/tensor";
import { addedTokenText } from "../added-token-text.ts";
import { fullVocabulary } from "../full-vocabulary.ts";
import { TOKEN_TYPE, looksSpecial, paddingTokens, withPlainSpaces } from "../token-list.ts";
import type { TokenList } from "../token-list.ts";
import { TOKENIZER_JSON } from "../tokenizer-files.ts";
import type { TokenizerInput } from "./tokenizer.ts";

/**
 * The tokens of a tokenizer.json by id (conversion/base.py `get_vocab_base`): trained ones are normal, added ones control or
 * user-defined, and ids that the tokenizer leaves open up to the vocabulary size are unused padding.
 *
 * @param modelType `model.type` that tokenizer.json must have
 * @returns undefined when tokenizer.json is missing or of another type
 * @throws QuernError `TOKENIZER_VOCABULARY_MISMATCH` when the tokenizer has an id that the model has no row for
 */
export function listedTokens(input: TokenizerInput, modelType: string): TokenList | undefined {
  const { files, config } = input;
  const { tokenizer } = files;
  if (tokenizer?.modelType !== modelType) return undefined;
  const { trained, added } = fullVocabulary({ files, tokenizer, config });

  const addedTokens = [...added.values()];
  const highest = addedTokens.reduce((id, token) => Math.max(id, token.id), trained.length - 1);
  const size = input.vocabularySize ?? highest + 1;
  if (highest >= size) {
    throw new QuernError(
      "TOKENIZER_VOCABULARY_MISMATCH",
      `${TOKENIZER_JSON} has token id ${highest}, but the model has only ${size} tokens (vocab_size in config.json).`,
      { subject: { file: TOKENIZER_JSON, key: "vocab_size" } },
    );
  }

  const { tokens, types } = paddingTokens({ size });
  trained.forEach((text, id) => {
    if (text === undefined) return;
    tokens[id] = text;
    types[id] = TOKEN_TYPE.normal;
  });
  const plainText = addedTokenText(files);
  for (const token of addedTokens) {
    const text = token.normalized ? token.content : plainText(token.content);
    const control = token.special || looksSpecial(text);
    tokens[token.id] = control ? text : withPlainSpaces(text);
    types[token.id] = control ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined;
  }
  return { tokens, types };
}
