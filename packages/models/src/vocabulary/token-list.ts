import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";

/** `llama_token_type` (gguf-py constants.py, TokenType). */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * Most ids that a vocabulary may have: 64 times the largest in use. Configurations are untrusted, and padding tokens are made
 * for every id up to `vocab_size`.
 */
export const LARGEST_VOCABULARY: number = 1 << 24;

/** A vocabulary as GGUF keeps it: index is the token id. */
export interface TokenList {
  readonly tokens: string[];
  /** Values of {@link TOKEN_TYPE}. */
  readonly types: Int32Array;
  /** SentencePiece vocabularies only. */
  readonly scores?: Float32Array;
  /** Further keys of this kind of tokenizer, before `tokenizer.ggml.model`. */
  readonly before?: GgufMetadata;
  /** Further keys of this kind of tokenizer, after the tokens. */
  readonly after?: GgufMetadata;
}

/** A list of `size` unused padding tokens ("[PAD0]", "[PAD1]", ...), as the reference converter names them. */
export function paddingTokens(params: {
  size: number;
  score?: number;
}): TokenList & { scores: Float32Array } {
  const { size } = params;
  if (!Number.isInteger(size) || size < 0 || size > LARGEST_VOCABULARY) {
    throw new QuernError(
      "TOKENIZER_VOCABULARY_MISMATCH",
      `vocab_size is ${size}; a whole number from 0 to ${LARGEST_VOCABULARY} is expected.`,
      { subject: { file: "config.json", key: "vocab_size" } },
    );
  }
  return {
    tokens: Array.from({ length: size }, (_, id) => `[PAD${id}]`),
    types: new Int32Array(size).fill(TOKEN_TYPE.unused),
    scores: new Float32Array(size).fill(params.score ?? 0),
  };
}

/**
 * Whether a token that is not marked special is one all the same. Several families (command-r, deepseek-coder, gemma) forget the
 * mark; the list is that of `does_token_look_special` in llama.cpp's conversion/base.py.
 */
export function looksSpecial(token: string): boolean {
  if (["<pad>", "<mask>", "<2mass>", "[@BOS@]"].includes(token)) return true;
  return (
    (token.startsWith("<|") && token.endsWith("|>")) ||
    (token.startsWith("<｜") && token.endsWith("｜>")) ||
    (token.startsWith("<unused") && token.endsWith(">"))
  );
}

/** SentencePiece writes spaces as U+2581; llama.cpp matches user-defined tokens against plain text. */
export function withPlainSpaces(token: string): string {
  return token.replaceAll("\u2581", " ");
}
