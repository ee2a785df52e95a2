import type { ByteSource } from "@quern/tensor";
import type { ChatTemplate } from "./chat-template.ts";
import type { DocumentPart, TextSource } from "./document.ts";
import { jsonLinesParts } from "./json-lines.ts";
import { parquetParts } from "./parquet.ts";
import { plainTextParts } from "./plain-text.ts";
import { recordReader } from "./record-reader.ts";

/** What is known of a file of texts. */
export interface TextFile {
  readonly source: ByteSource;
  /** Share of the tokens, relative to the other sources. Default 1. */
  readonly weight?: number;
  /** The column of JSON Lines or Parquet that is read; default: the first known one (see `recordReader`). */
  readonly column?: string;
  /** Writes conversations. */
  readonly chatTemplate?: ChatTemplate;
  /** Bytes that are read at once. Changes nothing but speed and memory. Default 1 MiB. */
  readonly readSize?: number;
}

type PartReader = (file: TextFile, whole: boolean) => AsyncIterable<DocumentPart>;

const jsonLines: PartReader = (file) =>
  jsonLinesParts({ ...optional(file), source: file.source, reader: recordReader(file) });
const parquet: PartReader = (file) =>
  parquetParts({ ...optional(file), source: file.source, reader: recordReader(file) });
const plainText: PartReader = (file, whole) =>
  plainTextParts({ ...optional(file), source: file.source, whole });

/** By file extension; everything else is plain text. */
const FORMATS: ReadonlyMap<string, PartReader> = new Map([
  ["jsonl", jsonLines],
  ["ndjson", jsonLines],
  ["parquet", parquet],
]);

/** The texts of a file: JSON Lines (.jsonl, .ndjson), Parquet (.parquet) or plain text (any other name). */
export function textSource(file: TextFile): TextSource {
  const { name } = file.source;
  const extension = /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  const read = FORMATS.get(extension) ?? plainText;
  return {
    name,
    weight: file.weight ?? 1,
    documents: ({ whole }) => read(file, whole),
  };
}

function optional({ column, readSize }: TextFile): { column?: string; readSize?: number } {
  return {
    ...(column === undefined ? {} : { column }),
    ...(readSize === undefined ? {} : { readSize }),
  };
}
