/** What the texts that look like special tokens ("<|im_end|>") are taken for. */
export type SpecialTokenHandling =
  /** The special tokens: what a chat template writes. */
  | "parse"
  /** Text like any other, as llama.cpp reads text by default. Added tokens that are not special are found all the same. */
  | "text";

/** Cuts text into the tokens of a model. */
export interface TextTokenizer {
  /** Where it comes from, for messages. */
  readonly name: string;
  /** One more than the largest token id that it can give. */
  readonly vocabularySize: number;
  /** The token that begins a text, where the vocabulary has one. */
  readonly bos: number | undefined;
  /** The token that ends a text, where the vocabulary has one. */
  readonly eos: number | undefined;
  /** Tokens that the model's own conventions put before every text: none, BOS, or several. */
  readonly prefix: readonly number[];
  /** Tokens that the model's own conventions put after every text. */
  readonly suffix: readonly number[];
  /**
   * Tokens of a text, without {@link prefix} and {@link suffix}.
   *
   * @throws QuernError `TOKENIZER_INCOMPLETE` when the vocabulary cannot write a part of the text
   */
  encode(text: string, specialTokens: SpecialTokenHandling): Int32Array;
}

/** Whether the first token of a text is BOS: what llama.cpp calls "the vocabulary adds BOS". */
export function addsBos(tokenizer: Pick<TextTokenizer, "bos" | "prefix">): boolean {
  return tokenizer.bos !== undefined && tokenizer.prefix[0] === tokenizer.bos;
}
