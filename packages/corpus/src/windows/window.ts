/** A run of tokens in a window that belongs to one document. */
export interface WindowSequence {
  /** Index of the document in its source. */
  readonly document: number;
  /** Where it begins in the window, with what is put before it. */
  readonly start: number;
  /** Where the document's own tokens begin: behind BOS. */
  readonly contentStart: number;
}

/** Tokens that a model is run on at once. */
export interface TokenWindow {
  readonly tokens: Int32Array;
  /** Index of the source. */
  readonly source: number;
  /** Index among the windows of its source, those that are left out counted. */
  readonly index: number;
  /** What is in it, in order; each goes on to the start of the next. */
  readonly sequences: readonly WindowSequence[];
}

/** How tokens are cut. */
export type WindowRule =
  /**
   * As llama.cpp's imatrix and perplexity tools do it: every text is tokenized as a whole (a line feed at its end left out), the
   * tokens of a source are cut in windows of `length`, the first token of each is replaced by BOS where the vocabulary adds BOS, and
   * what is left at the end is dropped.
   */
  | { readonly kind: "stream"; readonly length: number }
  /**
   * Documents one after another, each with BOS (what the model puts before a text). A document that does not fit in a window goes on
   * in the next, behind another BOS. Nothing is dropped: the last window of a source is as long as what is left.
   */
  | { readonly kind: "packed"; readonly length: number };
