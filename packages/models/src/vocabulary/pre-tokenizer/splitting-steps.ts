import { isJsonObject } from "../../json-file.ts";
import type { JsonObject } from "../../json-file.ts";

/** The regular expression of GPT-2, which the ByteLevel pre-tokenizer applies by itself (tokenizers, byte_level.rs). */
export const GPT2_REGEX: string = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/**
 * How a pre-tokenizer of tokenizer.json cuts text, as a list of steps in one spelling: a regular expression whose matches become
 * pieces of their own, or another way of cutting with its name in front ("Punctuation Contiguous"). What only encodes (ByteLevel
 * without its regular expression) is left out.
 *
 * Two pre-tokenizers with the same steps cut every text alike.
 */
export function splittingSteps(preTokenizer: JsonObject | undefined): string[] {
  if (preTokenizer === undefined) return [];
  const { type, pretokenizers } = preTokenizer;
  if (type === "Sequence") {
    return (Array.isArray(pretokenizers) ? pretokenizers.filter(isJsonObject) : []).flatMap(splittingSteps);
  }
  const step = STEPS.get(type);
  return step === undefined ? [text(type)] : step(preTokenizer);
}

const STEPS: ReadonlyMap<unknown, (options: JsonObject) => string[]> = new Map<
  unknown,
  (options: JsonObject) => string[]
>([
  ["ByteLevel", ({ use_regex }) => (use_regex === false ? [] : [GPT2_REGEX])],
  [
    "Digits",
    ({ individual_digits }) => [individual_digits === true ? String.raw`\p{N}` : String.raw`\p{N}+`],
  ],
  ["Punctuation", ({ behavior = "Isolated" }) => [`Punctuation ${text(behavior)}`]],
  ["Split", split],
]);

function split({ pattern, behavior, invert }: JsonObject): string[] {
  const { Regex: regex, String: literal } = isJsonObject(pattern) ? pattern : {};
  const expression = typeof regex === "string" ? regularForm(regex) : JSON.stringify(literal);
  // Keeping the matches and dropping the rest is the same, as the expressions in use match everything.
  const isolates = behavior === "Isolated" || (behavior === "Removed" && invert === true);
  return [isolates ? expression : `${text(behavior)} ${expression}`];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The contractions of English, as the expressions of different tokenizers spell them; the first is the spelling that is kept. */
const CONTRACTIONS = [
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
  "'(?i:[sdmt]|ll|ve|re)",
  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
  "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])",
] as const;

/** Brings expressions that match alike to one spelling, as far as they occur in published tokenizers. */
export function regularForm(regex: string): string {
  let form = regex.normalize("NFC").replaceAll("\r", "\\r").replaceAll("\n", "\\n");
  for (const spelling of CONTRACTIONS) form = form.replaceAll(spelling, CONTRACTIONS[0]);
  // Possessive quantifiers only save backtracking here: what follows them never matches what they took.
  return form.replaceAll(/(?<=[\]}])([?*+])\+/g, "$1").replaceAll("{1}", "");
}
