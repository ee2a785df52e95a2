import { QuernError } from "@quern/tensor";
import { byteLevelBpe } from "./byte-level-bpe.ts";
import { readGgufVocabulary } from "./gguf-vocabulary.ts";
import type { GgufVocabulary, VocabularyMetadata } from "./gguf-vocabulary.ts";
import { sentencePieceTokenizer } from "./sentencepiece-tokenizer.ts";
import type { Fragment } from "./special-token-fragments.ts";
import { specialTokenFragments } from "./special-token-fragments.ts";
import type { TextTokenizer } from "./text-tokenizer.ts";

/** How one kind of vocabulary reads text. */
export interface VocabularyKind {
  /** Whether BOS and EOS are added when the file does not say. */
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  /** BOS and EOS when the file does not say. */
  readonly bos: number;
  readonly eos: number;
  /** Tokens of a text whose special tokens have been found. */
  encode(fragments: readonly Fragment[]): number[];
}

/** By `tokenizer.ggml.model`. */
const KINDS: ReadonlyMap<string, (vocabulary: GgufVocabulary) => VocabularyKind> = new Map([
  ["gpt2", byteLevelBpe],
  ["llama", sentencePieceTokenizer],
]);

/**
 * The tokenizer of a GGUF file's own vocabulary, as llama.cpp reads it: byte-level BPE ("gpt2") and SentencePiece BPE ("llama").
 * Give it the metadata of a file, or of a checkpoint through `describeVocabulary`.
 *
 * @param params.name File name, for messages.
 * @throws QuernError `TOKENIZER_UNSUPPORTED` for another kind of vocabulary or pre-tokenizer, `TOKENIZER_MISSING`,
 * `TOKENIZER_MALFORMED`
 */
export function ggufTokenizer(params: { name: string; metadata: VocabularyMetadata }): TextTokenizer {
  const { name } = params;
  const vocabulary = readGgufVocabulary(params);
  const kind = KINDS.get(vocabulary.model)?.(vocabulary);
  if (kind === undefined) {
    throw new QuernError(
      "TOKENIZER_UNSUPPORTED",
      `${name}: tokenizer.ggml.model is "${vocabulary.model}"; text can be read with ${[...KINDS.keys()].map((key) => `"${key}"`).join(" and ")}.`,
      { subject: { file: name, key: "tokenizer.ggml.model" } },
    );
  }
  const fragmentsOf = specialTokenFragments(vocabulary);
  const inVocabulary = (id: number): number | undefined => (id < vocabulary.tokens.length ? id : undefined);
  const bos = vocabulary.bos ?? inVocabulary(kind.bos);
  const eos = vocabulary.eos ?? inVocabulary(kind.eos);
  return {
    name,
    vocabularySize: vocabulary.tokens.length,
    bos,
    eos,
    prefix: bos !== undefined && (vocabulary.addsBos ?? kind.addsBos) ? [bos] : [],
    suffix: eos !== undefined && (vocabulary.addsEos ?? kind.addsEos) ? [eos] : [],
    encode: (text, specialTokens) => Int32Array.from(kind.encode(fragmentsOf(text, specialTokens))),
  };
}
