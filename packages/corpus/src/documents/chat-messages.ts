import { QuernError } from "@quern/tensor";
import { isJsonObject, kindOf } from "../json.ts";

/** A message as chat templates take it. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  /** What else the message has: tool calls, reasoning, names. */
  readonly [key: string]: unknown;
}

/** Names of roles in ShareGPT files and the like. Other names stay as they are. */
const ROLES: ReadonlyMap<string, string> = new Map([
  ["human", "user"],
  ["gpt", "assistant"],
  ["chatgpt", "assistant"],
  ["bing", "assistant"],
  ["bard", "assistant"],
  ["model", "assistant"],
  ["bot", "assistant"],
  ["function", "tool"],
  ["observation", "tool"],
]);

/**
 * Reads messages in either spelling: `role` and `content`, or `from` and `value` (ShareGPT). Content in parts
 * (`[{ "type": "text", "text": "..." }]`) is put together.
 *
 * @throws QuernError `CORPUS_CHAT_MALFORMED` with the index of the message
 */
export function readMessages(
  list: readonly unknown[],
  place: { file: string; where: string; column: string },
): ChatMessage[] {
  const malformed = (index: number, reason: string): QuernError =>
    new QuernError(
      "CORPUS_CHAT_MALFORMED",
      `${place.where}: message ${index} of "${place.column}" ${reason}.`,
      {
        subject: { file: place.file, key: place.column },
      },
    );
  return list.map((message, index) => {
    if (!isJsonObject(message)) throw malformed(index, `must be an object, not ${kindOf(message)}`);
    const {
      role = message["from"],
      content = message["value"],
      from: _from,
      value: _value,
      ...others
    } = message;
    if (typeof role !== "string") throw malformed(index, `has no "role" (or "from")`);
    const text = contentText(content ?? (others["tool_calls"] === undefined ? undefined : ""));
    if (text === undefined) throw malformed(index, `has no text in "content" (or "value")`);
    return { ...others, role: ROLES.get(role) ?? role, content: text };
  });
}

function contentText(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part: unknown) =>
    isJsonObject(part) && typeof part["text"] === "string" ? part["text"] : undefined,
  );
  return texts.includes(undefined) ? undefined : texts.join("");
}
