import { LARGEST_VOCABULARY } from "./token-list.ts";
import { TOKENIZER_JSON, malformedTokenizer } from "./tokenizer-files.ts";
import type { TokenizerJson } from "./tokenizer-files.ts";

/** `model.type` of a tokenizer.json that scores whole pieces. */
export const UNIGRAM = "Unigram";

/** A trained token and its logarithmic probability. */
export interface UnigramPiece {
  readonly text: string;
  readonly score: number;
}

/**
 * The pieces of a tokenizer.json of type {@link UNIGRAM}; the index is the id.
 *
 * @throws QuernError `TOKENIZER_MALFORMED`
 */
export function unigramPieces({ model }: TokenizerJson): UnigramPiece[] {
  const vocabulary = model["vocab"];
  const key = "model.vocab";
  if (!Array.isArray(vocabulary) || vocabulary.length > LARGEST_VOCABULARY) {
    throw malformedTokenizer(
      { file: TOKENIZER_JSON, key },
      `an array of at most ${LARGEST_VOCABULARY} pieces with their scores`,
    );
  }
  return vocabulary.map((entry: unknown, id) => {
    const [text, score]: unknown[] = Array.isArray(entry) ? entry : [];
    if (typeof text === "string" && typeof score === "number") return { text, score };
    throw malformedTokenizer({ file: TOKENIZER_JSON, key: `${key}[${id}]` }, "a piece and its score");
  });
}
