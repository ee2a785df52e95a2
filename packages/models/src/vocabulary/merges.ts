import { readText } from "../json-file.ts";
import { TOKENIZER_JSON, malformedTokenizer } from "./tokenizer-files.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** U+0120: how the byte-level alphabet writes a space. */
const ENCODED_SPACE = "\u0120";

/**
 * BPE merges in order of rank, each as "left right": from tokenizer.json (strings, or pairs since transformers 4.45), otherwise
 * from merges.txt. Spaces within the parts of a pair are written in the byte-level alphabet, as GGUF has no other way.
 *
 * @throws QuernError `TOKENIZER_MALFORMED`, and the codes of reading a file
 */
export async function readMerges(files: TokenizerFiles): Promise<readonly string[]> {
  const merges = files.tokenizer?.model["merges"];
  if (Array.isArray(merges) && merges.length > 0) return mergesFromJson(merges);
  const text = await readText(files.checkpoint, "merges.txt");
  return text === undefined ? [] : mergesFromText(text);
}

function mergesFromJson(merges: readonly unknown[]): string[] {
  return merges.map((merge, index) => {
    if (typeof merge === "string") return merge;
    if (
      Array.isArray(merge) &&
      merge.length === 2 &&
      typeof merge[0] === "string" &&
      typeof merge[1] === "string"
    ) {
      return `${merge[0].replaceAll(" ", ENCODED_SPACE)} ${merge[1].replaceAll(" ", ENCODED_SPACE)}`;
    }
    throw malformedTokenizer(
      { file: TOKENIZER_JSON, key: `model.merges[${index}]` },
      "a string or a pair of strings",
    );
  });
}

/** A first line that starts with "#" names the version; lines that are not two words are passed over. */
function mergesFromText(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.trim());
  if (lines[0]?.startsWith("#")) lines.shift();
  return lines
    .map((line) => line.split(/\s+/))
    .filter((words) => words.length === 2 && words[0] !== "")
    .map((words) => words.join(" "));
}
