import { QuernError } from "@quern/tensor";
import type { CheckpointFiles } from "./model.ts";

/** A JSON object whose fields have not been looked at. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Limit on the files that are read whole (bytes). The largest tokenizer.json in use (262,144 tokens with merges as pairs)
 * takes 33 MB; anything far beyond is not a tokenizer, and memory must not follow the size that a stranger chose.
 */
const LARGEST_TEXT_FILE = 256 * 1024 * 1024;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Bytes of a small file of the checkpoint.
 *
 * @returns undefined when the file does not exist
 * @throws QuernError `CHECKPOINT_FILE_TOO_LARGE`
 */
export async function readBytes(files: CheckpointFiles, path: string): Promise<Uint8Array | undefined> {
  const bytes = await files.read(path);
  if (bytes !== undefined && bytes.byteLength > LARGEST_TEXT_FILE) {
    throw new QuernError(
      "CHECKPOINT_FILE_TOO_LARGE",
      `${path} has ${bytes.byteLength} bytes; files of its kind are read whole and may have ${LARGEST_TEXT_FILE}.`,
      { subject: { file: path } },
    );
  }
  return bytes;
}

/**
 * Text of a UTF-8 file of the checkpoint.
 *
 * @returns undefined when the file does not exist
 * @throws QuernError `CHECKPOINT_FILE_TOO_LARGE`, `CHECKPOINT_FILE_NOT_UTF8`
 */
export async function readText(files: CheckpointFiles, path: string): Promise<string | undefined> {
  const bytes = await readBytes(files, path);
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new QuernError("CHECKPOINT_FILE_NOT_UTF8", `${path} is not UTF-8 text.`, {
      subject: { file: path },
      cause,
    });
  }
}

/**
 * Content of a JSON file of the checkpoint.
 *
 * @returns undefined when the file does not exist
 * @throws QuernError `CHECKPOINT_JSON_MALFORMED` when the file is not JSON, and the codes of {@link readText}
 */
export async function readJson(files: CheckpointFiles, path: string): Promise<unknown> {
  const text = await readText(files, path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QuernError(
      "CHECKPOINT_JSON_MALFORMED",
      `${path} is not valid JSON: ${(cause as Error).message}`,
      {
        subject: { file: path },
        cause,
      },
    );
  }
}

/**
 * Content of a JSON file that must hold an object.
 *
 * @returns undefined when the file does not exist
 * @throws QuernError `CHECKPOINT_JSON_MALFORMED`, and the codes of {@link readText}
 */
export async function readJsonObject(files: CheckpointFiles, path: string): Promise<JsonObject | undefined> {
  const value = await readJson(files, path);
  if (value === undefined || isJsonObject(value)) return value;
  throw new QuernError(
    "CHECKPOINT_JSON_MALFORMED",
    `${path} must hold a JSON object, not ${describe(value)}.`,
    {
      subject: { file: path },
    },
  );
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
