import type { TokenizerKind } from "./tokenizers/registry.ts";

/** What an architecture knows of its tokenizer beyond the files of the checkpoint. */
export interface VocabularyHints {
  /** Kinds of tokenizer that the architecture may come with; the first that the checkpoint has is taken. */
  readonly tokenizers: readonly TokenizerKind[];
  /** Rows of the token embedding. Ids without a token get padding tokens. Default: as many as the tokenizer has. */
  readonly vocabularySize?: number;
  /** `tokenizer.ggml.token_type_count` (BERT: `type_vocab_size`). */
  readonly tokenTypeCount?: number;
  /** Copies `add_prefix_space` of tokenizer_config.json, where it is given, to `tokenizer.ggml.add_space_prefix` (Llama). */
  readonly copiesAddPrefixSpace?: boolean;
  /** `tokenizer.ggml.add_space_prefix` of a SentencePiece vocabulary (Gemma: false). */
  readonly addSpacePrefix?: boolean;
  /** `tokenizer.ggml.add_bos_token`, whatever the files say (Granite code models: false). */
  readonly addBosToken?: boolean;
  /** Role ("bos", "eos", "unk", "eot", "eom", ...) -> content of the token that has it when no file settles it (GLM). */
  readonly fallbackSpecialTokens?: Readonly<Record<string, string>>;
  /** Id of the end-of-turn token of families that do not name it in their files (Gemma 1: 107; Code Llama: 32010). */
  readonly endOfTurnTokenId?: number;
}
