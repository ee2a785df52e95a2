import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import { namedSpecialTokens } from "./named-special-tokens.ts";
import { LARGEST_VOCABULARY } from "./token-list.ts";
import { TOKENIZER_JSON, addedTokensDecoder, malformedTokenizer, tokenId } from "./tokenizer-files.ts";
import type { AddedToken, TokenizerFiles, TokenizerJson } from "./tokenizer-files.ts";
import { UNIGRAM, unigramPieces } from "./unigram-pieces.ts";

/** The vocabulary that the Hugging Face libraries work with: the trained one and the added tokens from all files. */
export interface FullVocabulary {
  /** Trained tokens by id; undefined where no token has the id. */
  readonly trained: readonly (string | undefined)[];
  /** By content. An added token may have the id of a trained one. */
  readonly added: ReadonlyMap<string, AddedToken>;
  /** Contents of the tokens with a role (beginning of sequence, padding, ...). */
  readonly named: ReadonlySet<string>;
}

/**
 * Joins tokenizer.json with what tokenizer_config.json, added_tokens.json and special_tokens_map.json add to it.
 *
 * The rules are those of the transformers library 4.57 (tokenization_utils_base.py `_from_pretrained`, tokenization_utils_fast.py):
 * `added_tokens_decoder` overrides the flags in tokenizer.json and makes added_tokens.json and special_tokens_map.json moot;
 * a token that is listed but unknown gets the next free id; a token with a role is special.
 *
 * @throws QuernError `TOKENIZER_MALFORMED`
 */
export function fullVocabulary(params: {
  files: TokenizerFiles;
  tokenizer: TokenizerJson;
  config: JsonObject;
}): FullVocabulary {
  const { files, tokenizer, config } = params;
  const { ids, trained, count } =
    tokenizer.modelType === UNIGRAM ? piecesInOrder(tokenizer) : tokensWithIds(tokenizer);
  const added = new Map<string, AddedToken>();
  let next = count;
  for (const token of tokenizer.addedTokens) {
    added.set(token.content, token);
    next = Math.max(next, token.id + 1);
  }
  const add = (token: Omit<AddedToken, "id">): void => {
    if (token.content === "") return;
    const id = added.get(token.content)?.id ?? ids.get(token.content) ?? next++;
    if (id >= LARGEST_VOCABULARY) {
      throw malformedTokenizer(
        { file: TOKENIZER_JSON },
        `a vocabulary of at most ${LARGEST_VOCABULARY} tokens`,
      );
    }
    added.set(token.content, { ...token, id });
  };

  const roles = namedSpecialTokens({ files, config });
  const named = new Set([...roles.declared, ...roles.usual]);
  for (const token of addedTokensDecoder(files.tokenizerConfig) ?? listedTokens(files)) add(token);
  for (const token of added.values()) {
    if (!token.special && named.has(token.content)) add({ ...token, special: true });
  }
  for (const content of named) {
    // The default of a tokenizer class is no reason to make a token that no file mentions.
    const wanted = roles.declared.has(content) || ids.has(content);
    if (wanted && !added.has(content)) add({ content, special: true, normalized: false });
  }
  return { trained, added, named };
}

/** added_tokens.json, for checkpoints from before `added_tokens_decoder`: tokens that tokenizer.json does not know. */
function listedTokens(files: TokenizerFiles): Omit<AddedToken, "id">[] {
  const known = new Set(files.tokenizer?.addedTokens.map((token) => token.id));
  return [...(files.addedTokens ?? [])]
    .filter(([, id]) => !known.has(id))
    .map(([content]) => ({ content, special: false, normalized: true }));
}

/** The vocabulary of the model itself. */
interface TrainedTokens {
  readonly ids: ReadonlyMap<string, number>;
  /** By id. */
  readonly trained: readonly (string | undefined)[];
  readonly count: number;
}

function tokensWithIds(tokenizer: TokenizerJson): TrainedTokens {
  const vocabulary = tokenizer.model["vocab"];
  if (!isJsonObject(vocabulary)) {
    throw malformedTokenizer({ file: TOKENIZER_JSON, key: "model.vocab" }, "an object from token to id");
  }
  const ids = new Map<string, number>();
  for (const [text, id] of Object.entries(vocabulary)) {
    ids.set(text, tokenId(id, { file: TOKENIZER_JSON, key: "model.vocab" }));
  }
  return { ids, trained: byId(ids), count: ids.size };
}

/** Unlike the keys of an object, a piece may come twice. */
function piecesInOrder(tokenizer: TokenizerJson): TrainedTokens {
  const trained = unigramPieces(tokenizer).map(({ text }) => text);
  return { ids: new Map(trained.map((text, id) => [text, id])), trained, count: trained.length };
}

function byId(ids: ReadonlyMap<string, number>): (string | undefined)[] {
  let size = 0;
  for (const id of ids.values()) size = Math.max(size, id + 1);
  const texts = Array.from<undefined, string | undefined>({ length: size }, () => undefined);
  for (const [text, id] of ids) texts[id] = text;
  return texts;
}
