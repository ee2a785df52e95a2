import { QuernError } from "@quern/tensor";
import { kindOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { SpecialTokenHandling } from "../tokenization/text-tokenizer.ts";
import { readMessages } from "./chat-messages.ts";
import type { ChatTemplate } from "./chat-template.ts";

/** Columns that hold text, in order of preference. */
const TEXT_COLUMNS = ["text", "content"];

/** Columns that hold a conversation, in order of preference. */
const CHAT_COLUMNS = ["messages", "conversations", "conversation"];

/** Where a record stands, for messages. */
export interface RecordPlace {
  readonly file: string;
  /** "data.jsonl, line 12" */
  readonly where: string;
}

/** Makes text of a record. */
export type RecordReader = (
  record: JsonObject,
  place: RecordPlace,
) => { readonly text: string; readonly specialTokens: SpecialTokenHandling };

/**
 * Reads records of JSON Lines and Parquet alike. The first that a record has of `text`, `content`, `messages`, `conversations` and
 * `conversation` counts; a column that is asked for by name may hold either text or messages.
 *
 * @param params.column Takes this column instead.
 * @param params.chatTemplate Needed for conversations.
 * @returns A function that throws QuernError `CORPUS_NO_COLUMN`, `CORPUS_COLUMN_TYPE`, `CORPUS_NO_CHAT_TEMPLATE`,
 * `CORPUS_CHAT_MALFORMED` and `CORPUS_CHAT_TEMPLATE`
 */
export function recordReader(params: { column?: string; chatTemplate?: ChatTemplate }): RecordReader {
  const { chatTemplate } = params;
  const wanted = params.column === undefined ? undefined : [params.column];
  return (record, place) => {
    const column = chooseColumn(Object.keys(record), wanted, place);
    const value = record[column];
    if (typeof value === "string") return { text: value, specialTokens: "text" };
    const mayBeChat = wanted !== undefined || CHAT_COLUMNS.includes(column);
    if (!mayBeChat || !Array.isArray(value)) {
      throw new QuernError(
        "CORPUS_COLUMN_TYPE",
        `${place.where}: "${column}" must be ${mayBeChat ? "text or a list of messages" : "text"}, not ${kindOf(value)}.`,
        { subject: { file: place.file, key: column } },
      );
    }
    if (chatTemplate === undefined) {
      throw new QuernError(
        "CORPUS_NO_CHAT_TEMPLATE",
        `${place.where}: "${column}" holds messages, and the model has no chat template to write them with.`,
        { subject: { file: place.file, key: column } },
      );
    }
    const messages = readMessages(value, { ...place, column });
    return { text: chatTemplate.render(messages, place), specialTokens: "parse" };
  };
}

/**
 * The column that is read.
 *
 * @param wanted Names that may be read instead of the usual ones.
 * @throws QuernError `CORPUS_NO_COLUMN` with the columns there are
 */
export function chooseColumn(
  columns: readonly string[],
  wanted: readonly string[] | undefined,
  place: RecordPlace,
): string {
  const candidates = wanted ?? [...TEXT_COLUMNS, ...CHAT_COLUMNS];
  const found = candidates.find((name) => columns.includes(name));
  if (found !== undefined) return found;
  throw new QuernError(
    "CORPUS_NO_COLUMN",
    `${place.where}: there is no ${candidates.map((name) => `"${name}"`).join(", ")}; there is ${columns.map((name) => `"${name}"`).join(", ") || "nothing"}.`,
    { subject: { file: place.file } },
  );
}
