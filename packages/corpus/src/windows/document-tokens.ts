import { QuernError } from "@quern/tensor";
import type { DocumentPart, TextSource } from "../documents/document.ts";
import type { TextTokenizer } from "../tokenization/text-tokenizer.ts";

/** Tokens of a document or of a part of it, without what is put before a sequence. */
export interface DocumentTokens {
  readonly document: number;
  readonly tokens: Int32Array;
  /** Whether the document goes on from the tokens before. */
  readonly continues: boolean;
}

/** What happened while a source was read. */
export interface SourceCounts {
  documents: number;
  tokens: number;
}

/**
 * The tokens of a source. Documents without text are passed over. The model's suffix, where it has one, follows plain texts, not
 * conversations: what ends these, the template writes.
 *
 * @param params.vocabularySize Rows of the model's token embedding.
 * @throws QuernError `CORPUS_EMPTY` when there is no text at all, `CORPUS_VOCABULARY_MISMATCH` for a token that the model has no row
 * for, and what the source throws
 */
export async function* documentTokens(params: {
  source: TextSource;
  tokenizer: TextTokenizer;
  whole: boolean;
  vocabularySize: number | undefined;
  counts: SourceCounts;
}): AsyncGenerator<DocumentTokens, void, undefined> {
  const { source, tokenizer, whole, counts } = params;
  let previous: DocumentPart | undefined;
  for await (const part of source.documents({ whole })) {
    if (part.text === "") continue;
    if (previous !== undefined && !part.continues) yield* ending(previous);
    const text = whole && part.text.endsWith("\n") ? part.text.slice(0, -1) : part.text;
    const tokens = withoutPrefix(tokenizer.encode(text, part.specialTokens), part, tokenizer);
    if (!part.continues) counts.documents += 1;
    yield* counted({ document: part.document, tokens, continues: part.continues });
    previous = part;
  }
  if (previous === undefined) {
    throw new QuernError("CORPUS_EMPTY", `${source.name} has no text.`, { subject: { file: source.name } });
  }
  yield* ending(previous);

  function* ending({ document, specialTokens }: DocumentPart): Generator<DocumentTokens> {
    if (specialTokens === "parse" || tokenizer.suffix.length === 0) return;
    yield* counted({ document, tokens: Int32Array.from(tokenizer.suffix), continues: true });
  }

  function* counted(read: DocumentTokens): Generator<DocumentTokens> {
    const { vocabularySize } = params;
    if (vocabularySize !== undefined) {
      const beyond = read.tokens.find((token) => token >= vocabularySize);
      if (beyond !== undefined) throw mismatch(beyond, vocabularySize, params);
    }
    counts.tokens += read.tokens.length;
    yield read;
  }
}

/** A template that writes BOS itself must not make it come twice. */
function withoutPrefix(tokens: Int32Array, part: DocumentPart, { prefix }: TextTokenizer): Int32Array {
  if (part.specialTokens === "text" || part.continues || prefix.length === 0) return tokens;
  return prefix.every((token, index) => tokens[index] === token) ? tokens.subarray(prefix.length) : tokens;
}

function mismatch(
  token: number,
  vocabularySize: number,
  { source, tokenizer }: { source: TextSource; tokenizer: TextTokenizer },
): QuernError {
  return new QuernError(
    "CORPUS_VOCABULARY_MISMATCH",
    `${tokenizer.name} gives token ${token} for a text of ${source.name}, but the model has embeddings for ${vocabularySize} tokens only: this tokenizer belongs to another model.`,
    { subject: { file: tokenizer.name } },
  );
}
