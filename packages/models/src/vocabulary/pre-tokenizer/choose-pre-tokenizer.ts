import { QuernError } from "@quern/tensor";
import { isJsonObject } from "../../json-file.ts";
import type { JsonObject } from "../../json-file.ts";
import { normalizerSteps } from "../normalizer.ts";
import { TOKENIZER_JSON } from "../tokenizer-files.ts";
import type { TokenizerFiles, TokenizerJson } from "../tokenizer-files.ts";
import {
  KNOWN_PRE_TOKENIZERS,
  PRE_TOKENIZER_NAMES,
  WITHOUT_SPLITTING,
  WORD_PIECE,
} from "./known-pre-tokenizers.ts";
import type { KnownPreTokenizer, PreTokenizerName } from "./known-pre-tokenizers.ts";
import { preTokenizerTraits } from "./pre-tokenizer-traits.ts";
import { mostSimilar } from "./similarity.ts";
import { splittingSteps } from "./splitting-steps.ts";

/** For tokenizers that do not cut text before they look at it, such as SentencePiece. */
const NO_PRE_TOKENIZER = "default";

/** How much of an unknown pre-tokenizer a message shows. */
const SHOWN_CHARACTERS = 1500;

/**
 * `tokenizer.ggml.pre`: llama.cpp's name for the way in which tokenizer.json cuts text, found from its structure and regular
 * expressions. (The reference converter compares a hash of the token ids of a test text, and so knows no tokenizer but the very ones
 * that it was told of.)
 *
 * @param preTokenizer A name to use instead
 * @param splits Whether the tokenizer cuts text at all
 * @throws QuernError `TOKENIZER_PRE_UNKNOWN`
 */
export function choosePreTokenizer(params: {
  files: TokenizerFiles;
  config: JsonObject;
  preTokenizer: string | undefined;
  splits: boolean;
}): string {
  const { files, config, preTokenizer, splits } = params;
  if (preTokenizer !== undefined) checkName(preTokenizer);
  const { tokenizer } = files;
  if (!splits || tokenizer === undefined) return NO_PRE_TOKENIZER;
  return preTokenizer ?? namePreTokenizer(tokenizer, { files, config });
}

function namePreTokenizer(
  tokenizer: TokenizerJson,
  params: { files: TokenizerFiles; config: JsonObject },
): string {
  if (tokenizer.modelType === "WordPiece") return WORD_PIECE;
  const steps = splittingSteps(tokenizer.preTokenizer);
  if (tokenizer.model["byte_fallback"] === true && escapesSpaces(tokenizer) && !steps.some(cutsEscapedText)) {
    return WITHOUT_SPLITTING;
  }
  const traits = preTokenizerTraits(params.files, params.config);
  const known = KNOWN_PRE_TOKENIZERS.find((candidate) => spelled(candidate.steps) === spelled(steps));
  const name = known?.names.find(({ applies }) => applies === undefined || applies(traits));
  if (name === undefined) throw unknownPreTokenizer(steps);
  return name.name;
}

function escapesSpaces(tokenizer: TokenizerJson): boolean {
  return normalizerSteps(tokenizer.normalizer).some(
    ({ type, pattern, content }) =>
      type === "Replace" && isJsonObject(pattern) && pattern["String"] === " " && content === "\u2581",
  );
}

/** Cutting at spaces does nothing once there are none. */
function cutsEscapedText(step: string): boolean {
  return !step.endsWith('" "');
}

function spelled(steps: readonly string[]): string {
  return steps.join(" → ");
}

function unknownPreTokenizer(steps: readonly string[]): QuernError {
  const text = spelled(steps);
  const nearest = mostSimilar(text, KNOWN_PRE_TOKENIZERS, (candidate) =>
    spelled(candidate.steps),
  ) as KnownPreTokenizer;
  const names = nearest.names.map((candidate: PreTokenizerName) => candidate.name).reverse();
  const shown =
    text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text || "(nothing)";
  return new QuernError(
    "TOKENIZER_PRE_UNKNOWN",
    `${TOKENIZER_JSON} cuts text in a way that llama.cpp has no name for:\n  ${shown}\n` +
      `The nearest that it knows is ${names.join(" or ")}:\n  ${spelled(nearest.steps).slice(0, SHOWN_CHARACTERS)}\n` +
      `If that is near enough, say so with --pre ${names[0]}.`,
    { subject: { file: TOKENIZER_JSON, key: "pre_tokenizer" } },
  );
}

function checkName(name: string): void {
  if (PRE_TOKENIZER_NAMES.includes(name)) return;
  throw new QuernError(
    "TOKENIZER_PRE_UNKNOWN",
    `llama.cpp has no pre-tokenizer "${name}". Did you mean --pre ${mostSimilar(name, PRE_TOKENIZER_NAMES, String)}? ` +
      `It knows ${PRE_TOKENIZER_NAMES.join(", ")}.`,
    { subject: { key: "preTokenizer" } },
  );
}
