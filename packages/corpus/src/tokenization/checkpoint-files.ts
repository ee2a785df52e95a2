import type { CheckpointFileSet } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import { isJsonObject, kindOf } from "../json.ts";
import type { JsonObject } from "../json.ts";

export const TOKENIZER_JSON = "tokenizer.json";
export const TOKENIZER_CONFIG = "tokenizer_config.json";

/**
 * A file of a checkpoint that holds a JSON object.
 *
 * @returns undefined when there is no such file
 * @throws QuernError `TOKENIZER_MALFORMED`, `CHECKPOINT_*`, `SOURCE_*`
 */
export async function readJsonFile(files: CheckpointFileSet, path: string): Promise<JsonObject | undefined> {
  const text = await readTextFile(files, path);
  if (text === undefined) return undefined;
  const file = `${files.name}/${path}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QuernError("TOKENIZER_MALFORMED", `${file} is not valid JSON: ${(cause as Error).message}`, {
      subject: { file },
      cause,
    });
  }
  if (isJsonObject(value)) return value;
  throw malformedFile({ file }, "a JSON object", value);
}

/**
 * A text file of a checkpoint.
 *
 * @returns undefined when there is no such file
 * @throws QuernError `TOKENIZER_MALFORMED` when it is not UTF-8, `CHECKPOINT_*`, `SOURCE_*`
 */
export async function readTextFile(files: CheckpointFileSet, path: string): Promise<string | undefined> {
  const bytes = await files.read(path);
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const file = `${files.name}/${path}`;
    throw new QuernError("TOKENIZER_MALFORMED", `${file} is not UTF-8 text.`, { subject: { file }, cause });
  }
}

/** A token as configurations write it: its text, or an object with the text as `content`. */
export function tokenContent(entry: unknown): string | undefined {
  if (typeof entry === "string") return entry;
  return isJsonObject(entry) && typeof entry["content"] === "string" ? entry["content"] : undefined;
}

export function malformedFile(
  place: { file: string; key?: string },
  expected: string,
  found: unknown,
): QuernError {
  const where = place.key === undefined ? place.file : `${place.file}: ${place.key}`;
  return new QuernError("TOKENIZER_MALFORMED", `${where} must be ${expected}, not ${kindOf(found)}.`, {
    subject: place,
  });
}
