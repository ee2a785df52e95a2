import { QuernError } from "@quern/tensor";
import { parseDocument } from "yaml";
import { isJsonObject, readText } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import type { CheckpointFiles } from "../model.ts";
import { yamlNesting } from "./yaml-nesting.ts";

const README = "README.md";

/** Longest front matter that is parsed (characters); those of cards with hundreds of benchmark results stay below 500,000. */
const LONGEST_FRONT_MATTER = 1_000_000;

/** Deepest nesting that is parsed: the parser recurses, and cards need no more than ten levels. */
const DEEPEST_NESTING = 100;

const LINE_END = /\r\n|[\n\r\v\f\x85\u2028\u2029]/;

/** The YAML front matter of the README.md among some files, as {@link parseModelCard} reads it. @throws also the codes of {@link readText} */
export async function readModelCard(files: CheckpointFiles): Promise<JsonObject> {
  return parseModelCard((await readText(files, README)) ?? "");
}

/**
 * The YAML front matter of a README.md; empty when there is none.
 *
 * All plain scalars are strings, but for null. The reference reads YAML 1.1, in which `no` is false and `1.0` a number, and fails
 * on any of these as a language, licence or version: as strings they are what their authors meant.
 *
 * @throws QuernError `MODEL_CARD_MALFORMED`
 */
export function parseModelCard(readme: string): JsonObject {
  const text = frontMatter(readme);
  if (text.length > LONGEST_FRONT_MATTER) {
    throw malformed(`it has ${text.length} characters; up to ${LONGEST_FRONT_MATTER} are read`);
  }
  const nesting = yamlNesting(text);
  if (nesting > DEEPEST_NESTING)
    throw malformed(`it is nested ${nesting} deep; up to ${DEEPEST_NESTING} is read`);
  const card = parse(text);
  return isJsonObject(card) ? card : {};
}

function frontMatter(text: string): string {
  const [first, ...lines] = text.split(LINE_END);
  if (first !== "---") return "";
  const end = lines.indexOf("---");
  // YAML has no tabs in indentation, but cards do.
  return lines
    .slice(0, end < 0 ? lines.length : end)
    .join("\n")
    .replaceAll("\t", "  ");
}

function parse(text: string): unknown {
  let document;
  try {
    document = parseDocument(text, {
      schema: "failsafe",
      customTags: ["null"],
      merge: true,
      uniqueKeys: false,
      logLevel: "silent",
    });
    if (document.errors.length === 0) return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw malformed((cause as Error).message, cause);
  }
  throw malformed(document.errors[0]?.message ?? "", document.errors[0]);
}

function malformed(reason: string, cause?: unknown): QuernError {
  return new QuernError("MODEL_CARD_MALFORMED", `The front matter of ${README} cannot be used: ${reason}`, {
    subject: { file: README },
    cause,
  });
}
