import type { SpecialTokenHandling } from "../tokenization/text-tokenizer.ts";

/** A text of a source, or a part of one that is too long to be taken whole. */
export interface DocumentPart {
  readonly text: string;
  /** Index of the document in its source. */
  readonly document: number;
  /** Whether this goes on where the part before it ended. */
  readonly continues: boolean;
  /**
   * "parse" for what a chat template has written: its special tokens are meant as such, and nothing is put around it but BOS, where
   * the template did not write it.
   */
  readonly specialTokens: SpecialTokenHandling;
}

/** Where texts come from: a file, or anything else that gives them one after another, the same every time. */
export interface TextSource {
  /** For messages and summaries. */
  readonly name: string;
  /** Share of the tokens, relative to the other sources. Default 1. */
  readonly weight?: number;
  /**
   * @param options.whole Give every document in one part, however long.
   * @throws QuernError `CORPUS_*`, `SOURCE_*`
   */
  documents(options: { whole: boolean }): AsyncIterable<DocumentPart>;
}
