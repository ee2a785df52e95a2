import type { ByteSource } from "@quern/tensor";
import { QuernError } from "@quern/tensor";
import type { DocumentPart } from "./document.ts";
import { textChunks } from "./text-chunks.ts";

/** UTF-16 units after which a long text is cut at the next end of a line, and at the latest. */
const PART_LENGTH = 1 << 15;
const LONGEST_PART = 1 << 17;

/** UTF-16 units of a text that is taken whole: a gigabyte of tokens' text would not fit in memory. */
const LONGEST_TEXT = 1 << 28;

/**
 * A text file: one document. Its parts end at the ends of lines, wherever the file was read in pieces.
 *
 * @throws QuernError `CORPUS_TOO_LONG` for a text that is asked for whole and does not fit, `CORPUS_NOT_UTF8`, `SOURCE_*`
 */
export async function* plainTextParts(params: {
  source: ByteSource;
  whole: boolean;
  readSize?: number;
}): AsyncGenerator<DocumentPart, void, undefined> {
  const { source, whole, readSize } = params;
  let pending = "";
  let continues = false;
  const part = (text: string): DocumentPart => {
    const made: DocumentPart = { text, document: 0, continues, specialTokens: "text" };
    continues = true;
    return made;
  };
  for await (const chunk of textChunks(source, readSize)) {
    pending += chunk;
    if (whole) {
      if (pending.length > LONGEST_TEXT) throw tooLong(source);
      continue;
    }
    for (let end = partEnd(pending); end > 0; end = partEnd(pending)) {
      yield part(pending.slice(0, end));
      pending = pending.slice(end);
    }
  }
  if (pending !== "") yield part(pending);
}

/**
 * Where a part ends that surely has all of its text; 0 when more text is needed. Depends on the text alone, not on how much of it
 * is there.
 */
function partEnd(text: string): number {
  if (text.length <= PART_LENGTH) return 0;
  const lineEnd = text.indexOf("\n", PART_LENGTH - 1) + 1;
  if (lineEnd > 0 && lineEnd <= LONGEST_PART) return lineEnd;
  if (text.length <= LONGEST_PART) return 0;
  // A pair of surrogates is one character.
  return /[\ud800-\udbff]/.test(text[LONGEST_PART - 1]!) ? LONGEST_PART - 1 : LONGEST_PART;
}

function tooLong({ name }: ByteSource): QuernError {
  return new QuernError(
    "CORPUS_TOO_LONG",
    `${name} has more than ${LONGEST_TEXT} characters, which llama.cpp's way of cutting windows would take whole; pack it instead, or cut the file.`,
    { subject: { file: name } },
  );
}
