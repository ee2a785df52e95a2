import { byteLevelBpe } from "./byte-level-bpe.ts";
import { sentencePieceJson } from "./sentence-piece-json.ts";
import { phi3SentencePiece, sentencePiece } from "./sentence-piece.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { unigram } from "./unigram.ts";
import { wordPiece } from "./word-piece.ts";

export type TokenizerKind =
  | "byte-level-bpe"
  | "phi3-sentencepiece"
  | "sentencepiece"
  | "sentencepiece-json"
  | "unigram"
  | "wordpiece";

/** Every tokenizer that an architecture can ask for. */
export const TOKENIZERS: Readonly<Record<TokenizerKind, Tokenizer>> = {
  "byte-level-bpe": byteLevelBpe,
  "phi3-sentencepiece": phi3SentencePiece,
  sentencepiece: sentencePiece,
  "sentencepiece-json": sentencePieceJson,
  unigram,
  wordpiece: wordPiece,
};
