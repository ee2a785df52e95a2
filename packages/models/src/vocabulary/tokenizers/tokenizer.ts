import type { JsonObject } from "../../json-file.ts";
import type { TokenList } from "../token-list.ts";
import type { TokenizerFiles } from "../tokenizer-files.ts";

/** What a tokenizer family needs to list its tokens. */
export interface TokenizerInput {
  readonly files: TokenizerFiles;
  /** config.json as it stands. */
  readonly config: JsonObject;
  /** Number of ids that the model has, if that is known: ids without a token get padding tokens. */
  readonly vocabularySize: number | undefined;
  /** Number of token types that the model has, if it has any (`type_vocab_size` of BERT). */
  readonly tokenTypeCount: number | undefined;
}

/** A kind of tokenizer: where it is found, and how it becomes a GGUF vocabulary. */
export interface Tokenizer {
  /** `tokenizer.ggml.model`: the algorithm that llama.cpp runs. */
  readonly model: string;
  /** What it is read from, for the message when that is missing. */
  readonly source: string;
  /** Whether a pre-tokenizer splits the text first; `tokenizer.ggml.pre` then names it, and is "default" otherwise. */
  readonly preTokenized: boolean;
  /** Whether the vocabulary needs `tokenizer.ggml.merges`. */
  readonly merges: boolean;
  /** Whether llama.cpp puts a space before every text unless `tokenizer.ggml.add_space_prefix` says otherwise. */
  readonly prefixesSpace: boolean;
  /** Whether special token ids beyond the vocabulary are left out (as the reference converter does for some kinds). */
  readonly boundsSpecialTokens: boolean;
  /** @returns undefined when the checkpoint has no tokenizer of this kind */
  tokens(input: TokenizerInput): Promise<TokenList | undefined>;
}
