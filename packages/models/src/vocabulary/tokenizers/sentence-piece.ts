import { readBytes } from "../../json-file.ts";
import { parseSentencePieceModel, tokenTypeOf } from "../sentencepiece-model.ts";
import { TOKEN_TYPE, looksSpecial, paddingTokens, withPlainSpaces } from "../token-list.ts";
import { addedTokensDecoder } from "../tokenizer-files.ts";
import type { AddedToken, TokenizerFiles } from "../tokenizer-files.ts";
import type { Tokenizer, TokenizerInput } from "./tokenizer.ts";

const TOKENIZER_MODEL = "tokenizer.model";

/** Scores of the reference converter for ids without a piece and for tokens that are not from the SentencePiece model. */
const PADDING_SCORE = -10_000;
const ADDED_SCORE = -1000;

/** Which tokens are laid over the pieces, and how they are told from special ones. */
interface Overlay {
  tokens(files: TokenizerFiles): readonly AddedToken[];
  /** Whether unmarked tokens count as special by their looks, and the others get plain spaces. */
  readonly guesses: boolean;
}

const TOKENIZER_CONFIG_OVERLAY: Overlay = {
  tokens: (files) => addedTokensDecoder(files.tokenizerConfig) ?? [],
  guesses: true,
};

/** conversion/phi.py `Phi3MiniModel.set_vocab` */
const PHI3_OVERLAY: Overlay = {
  tokens: (files) => [
    ...(addedTokensDecoder(files.tokenizerConfig) ?? []),
    ...(files.tokenizer?.addedTokens ?? []),
  ],
  guesses: false,
};

/** SentencePiece BPE or Unigram, from tokenizer.model (conversion/base.py `_create_vocab_sentencepiece`). */
export const sentencePiece: Tokenizer = sentencePieceWith(TOKENIZER_CONFIG_OVERLAY);

/** As {@link sentencePiece}, with the added tokens of tokenizer.json on top, taken at their word. */
export const phi3SentencePiece: Tokenizer = sentencePieceWith(PHI3_OVERLAY);

function sentencePieceWith(overlay: Overlay): Tokenizer {
  return {
    model: "llama",
    source: TOKENIZER_MODEL,
    preTokenized: false,
    merges: false,
    prefixesSpace: true,
    boundsSpecialTokens: true,
    tokens: (input) => sentencePieceTokens(input, overlay),
  };
}

async function sentencePieceTokens(
  { files, vocabularySize }: TokenizerInput,
  overlay: Overlay,
): ReturnType<Tokenizer["tokens"]> {
  const bytes = await readBytes(files.checkpoint, TOKENIZER_MODEL);
  if (bytes === undefined) return undefined;
  const model = parseSentencePieceModel({ bytes, file: TOKENIZER_MODEL });

  const size = vocabularySize || model.pieces.length;
  const list = paddingTokens({ size, score: PADDING_SCORE });
  const set = (id: number, token: { text: string; score: number; type: number }): void => {
    // Ids that the model has no row for are left out.
    if (id >= size) return;
    list.tokens[id] = token.text;
    list.scores[id] = token.score;
    list.types[id] = token.type;
  };
  model.pieces.forEach((text, id) => {
    const type = tokenTypeOf(model.types[id] as number);
    set(id, { text, score: model.scores[id] as number, type });
  });
  for (const [text, id] of files.addedTokens ?? []) {
    set(id, { text, score: ADDED_SCORE, type: TOKEN_TYPE.userDefined });
  }
  for (const { id, content, special } of overlay.tokens(files)) {
    const control = special || (overlay.guesses && looksSpecial(content));
    const text = control || !overlay.guesses ? content : withPlainSpaces(content);
    set(id, { text, score: ADDED_SCORE, type: control ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined });
  }
  return list;
}
