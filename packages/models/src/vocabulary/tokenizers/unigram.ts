import { ggufArray, ggufBool, ggufUint32 } from "@quern/gguf";
import type { GgufMetadata } from "@quern/gguf";
import { readBytes } from "../../json-file.ts";
import { fullVocabulary } from "../full-vocabulary.ts";
import { tokenContent } from "../named-special-tokens.ts";
import { normalizerSteps } from "../normalizer.ts";
import { MODEL_TYPE, parseSentencePieceModel, tokenTypeOf } from "../sentencepiece-model.ts";
import type { SentencePieceNormalizer } from "../sentencepiece-model.ts";
import { TOKEN_TYPE, paddingTokens } from "../token-list.ts";
import type { TokenList } from "../token-list.ts";
import { TOKENIZER_JSON, malformedTokenizer } from "../tokenizer-files.ts";
import type { TokenizerJson } from "../tokenizer-files.ts";
import { ADD_SPACE_PREFIX, TOKEN_TYPE_COUNT } from "../tokenizer-keys.ts";
import { UNIGRAM, unigramPieces } from "../unigram-pieces.ts";
import type { Tokenizer, TokenizerInput } from "./tokenizer.ts";

const SENTENCEPIECE_MODEL = "sentencepiece.bpe.model";

/** Score of the reference converter for ids without a piece. */
const PADDING_SCORE = -10_000;

/** What fairseq puts in the place of the first three pieces of the SentencePiece model ("<unk>", "<s>", "</s>"). */
const FAIRSEQ = {
  tokens: ["<s>", "<pad>", "</s>", "<unk>"],
  scores: [0, 0, 0, 0],
  types: [TOKEN_TYPE.control, TOKEN_TYPE.control, TOKEN_TYPE.control, TOKEN_TYPE.unknown],
} as const;

/**
 * SentencePiece Unigram as XLM-RoBERTa has it, from sentencepiece.bpe.model or else from tokenizer.json (conversion/bert.py
 * `_xlmroberta_set_vocab`). llama.cpp calls the algorithm "t5".
 */
export const unigram: Tokenizer = {
  model: "t5",
  source: `${SENTENCEPIECE_MODEL} or ${TOKENIZER_JSON} with model.type ${UNIGRAM}`,
  preTokenized: false,
  merges: false,
  prefixesSpace: true,
  boundsSpecialTokens: true,
  tokens: async (input) => (await fromModel(input)) ?? fromJson(input),
};

async function fromModel(input: TokenizerInput): Promise<TokenList | undefined> {
  const bytes = await readBytes(input.files.checkpoint, SENTENCEPIECE_MODEL);
  if (bytes === undefined) return undefined;
  const model = parseSentencePieceModel({ bytes, file: SENTENCEPIECE_MODEL });
  if (model.modelType !== MODEL_TYPE.unigram) {
    const expected = `${MODEL_TYPE.unigram} (Unigram), not ${model.modelType}`;
    throw malformedTokenizer({ file: SENTENCEPIECE_MODEL, key: "trainer_spec.model_type" }, expected);
  }

  const size = Math.max(input.vocabularySize ?? 0, model.pieces.length);
  const { tokens, scores, types } = paddingTokens({ size, score: PADDING_SCORE });
  model.pieces.forEach((text, id) => {
    tokens[id] = text;
    scores[id] = model.scores[id] as number;
    types[id] = tokenTypeOf(model.types[id] as number);
  });
  return {
    tokens: [...FAIRSEQ.tokens, ...tokens.slice(3, -1)],
    scores: Float32Array.from([...FAIRSEQ.scores, ...scores.subarray(3, -1)]),
    types: Int32Array.from([...FAIRSEQ.types, ...types.subarray(3, -1)]),
    after: furtherKeys(model.normalizer, { file: SENTENCEPIECE_MODEL, input }),
  };
}

function fromJson(input: TokenizerInput): TokenList | undefined {
  const { files, config } = input;
  const { tokenizer, tokenizerConfig = {} } = files;
  if (tokenizer?.modelType !== UNIGRAM) return undefined;
  const pieces = unigramPieces(tokenizer);
  const { added, named } = fullVocabulary({ files, tokenizer, config });
  const unknown = added.get(tokenContent(tokenizerConfig["unk_token"]) ?? "")?.id ?? unknownId(tokenizer);
  const controls = new Set([...named].map((content) => added.get(content)?.id));

  const size = Math.max(input.vocabularySize ?? 0, pieces.length);
  const list = paddingTokens({ size, score: PADDING_SCORE });
  pieces.forEach(({ text, score }, id) => {
    list.tokens[id] = text;
    list.scores[id] = score;
    list.types[id] = TOKEN_TYPE.normal;
  });
  for (const { id, content } of added.values()) {
    // Ids after the trained ones stay padding, as the reference has it.
    if (id >= pieces.length) continue;
    list.tokens[id] = content;
    list.types[id] = controls.has(id) ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined;
  }
  if (unknown !== undefined && unknown < pieces.length) list.types[unknown] = TOKEN_TYPE.unknown;

  const normalizer: SentencePieceNormalizer = {
    charsmap: precompiledCharsmap(tokenizer),
    addDummyPrefix: tokenizerConfig["add_prefix_space"] === true,
    // The reference takes the nearest thing that tokenizer_config.json has.
    removeExtraWhitespaces: tokenizerConfig["clean_up_tokenization_spaces"] === true,
  };
  return { ...list, after: furtherKeys(normalizer, { file: TOKENIZER_JSON, input }) };
}

/** `unk_id` of the model; 3 where it has none, undefined where it says that there is none. */
function unknownId({ model }: TokenizerJson): number | undefined {
  const id = "unk_id" in model ? model["unk_id"] : 3;
  return typeof id === "number" ? id : undefined;
}

function precompiledCharsmap({ normalizer }: TokenizerJson): Uint8Array {
  const step = normalizerSteps(normalizer).find(({ type }) => type === "Precompiled");
  if (step === undefined) return new Uint8Array();
  const encoded = step["precompiled_charsmap"];
  // atob() takes more than is meant: spaces, and values that are no strings.
  if (typeof encoded !== "string" || encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) {
    throw malformedTokenizer({ file: TOKENIZER_JSON, key: "normalizer.precompiled_charsmap" }, "Base64");
  }
  return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
}

function furtherKeys(
  { charsmap, addDummyPrefix, removeExtraWhitespaces }: SentencePieceNormalizer,
  { file, input }: { file: string; input: TokenizerInput },
): GgufMetadata {
  const metadata: GgufMetadata = new Map();
  metadata.set(ADD_SPACE_PREFIX, ggufBool(addDummyPrefix));
  if (input.tokenTypeCount !== undefined) metadata.set(TOKEN_TYPE_COUNT, ggufUint32(input.tokenTypeCount));
  metadata.set("tokenizer.ggml.remove_extra_whitespaces", ggufBool(removeExtraWhitespaces));
  if (charsmap.byteLength > 0) {
    checkCharsmap(charsmap, file);
    metadata.set("tokenizer.ggml.precompiled_charsmap", ggufArray("uint8", charsmap));
  }
  return metadata;
}

/** The size of a trie, the trie, and replacements; llama.cpp refuses to load a file with any other size. */
function checkCharsmap(charsmap: Uint8Array, file: string): void {
  const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
  if (view.byteLength > 4 && view.getUint32(0, true) + 4 < view.byteLength) return;
  throw malformedTokenizer({ file, key: "precompiled_charsmap" }, "a trie, with its size, and replacements");
}
