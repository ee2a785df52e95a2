import type { ByteSource } from "@quern/tensor";
import { QuernError } from "@quern/tensor";
import { isJsonObject, kindOf } from "../json.ts";
import type { DocumentPart } from "./document.ts";
import type { RecordReader } from "./record-reader.ts";
import { textChunks } from "./text-chunks.ts";

/** UTF-16 units of a line. */
const LONGEST_LINE = 1 << 26;

/**
 * A file with a JSON object on each line. Empty lines are passed over.
 *
 * @throws QuernError `CORPUS_JSON_MALFORMED` with the number of the line, what the record reader throws, `CORPUS_NOT_UTF8`, `SOURCE_*`
 */
export async function* jsonLinesParts(params: {
  source: ByteSource;
  reader: RecordReader;
  readSize?: number;
}): AsyncGenerator<DocumentPart, void, undefined> {
  const { source, reader } = params;
  let document = 0;
  for await (const { text, number } of lines(source, params.readSize)) {
    if (text.trim() === "") continue;
    const where = `${source.name}, line ${number}`;
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch (cause) {
      throw malformed(where, source, `not valid JSON: ${(cause as Error).message}`, cause);
    }
    if (!isJsonObject(record))
      throw malformed(where, source, `a JSON object is expected, not ${kindOf(record)}`);
    const read = reader(record, { file: source.name, where });
    yield { ...read, document, continues: false };
    document += 1;
  }
}

/** Lines with their numbers, from 1. */
async function* lines(
  source: ByteSource,
  readSize: number | undefined,
): AsyncGenerator<{ text: string; number: number }, void, undefined> {
  let number = 0;
  let pending = "";
  for await (const chunk of textChunks(source, readSize)) {
    const parts = (pending + chunk).split("\n");
    pending = parts.pop()!;
    for (const text of parts) yield { text, number: ++number };
    if (pending.length > LONGEST_LINE) {
      throw malformed(
        `${source.name}, line ${number + 1}`,
        source,
        `longer than ${LONGEST_LINE} characters; one JSON object on each line is expected`,
      );
    }
  }
  if (pending !== "") yield { text: pending, number: number + 1 };
}

function malformed(where: string, source: ByteSource, reason: string, cause?: unknown): QuernError {
  return new QuernError("CORPUS_JSON_MALFORMED", `${where}: ${reason}.`, {
    subject: { file: source.name },
    cause,
  });
}
