import { QuernError } from "@quern/tensor";
import { isJsonObject, readJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import type { CheckpointFiles } from "../model.ts";
import { LARGEST_VOCABULARY } from "./token-list.ts";

/** A token that stands beside the trained vocabulary: special tokens, and whatever fine-tuning added. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether the text is normalized before this token is searched in it. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** The parts of a tokenizer.json (Hugging Face tokenizers library) that a vocabulary is made from. */
export interface TokenizerJson {
  /** `model`: vocab, merges, byte_fallback, ... */
  readonly model: JsonObject;
  /** "BPE", "WordPiece", "Unigram" or "WordLevel". */
  readonly modelType: string;
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: JsonObject | undefined;
  readonly preTokenizer: JsonObject | undefined;
  readonly postProcessor: JsonObject | undefined;
  readonly decoder: JsonObject | undefined;
}

/** What a checkpoint says about its tokenizer in JSON; a field is undefined when its file is missing. */
export interface TokenizerFiles {
  readonly checkpoint: CheckpointFiles;
  readonly tokenizer: TokenizerJson | undefined;
  readonly tokenizerConfig: JsonObject | undefined;
  /** added_tokens.json: content -> id. */
  readonly addedTokens: ReadonlyMap<string, number> | undefined;
  readonly specialTokensMap: JsonObject | undefined;
}

export const TOKENIZER_JSON = "tokenizer.json";
export const TOKENIZER_CONFIG = "tokenizer_config.json";
const ADDED_TOKENS = "added_tokens.json";

/**
 * Reads the JSON files of a tokenizer.
 *
 * @throws QuernError `CHECKPOINT_JSON_MALFORMED`, `CHECKPOINT_FILE_TOO_LARGE`, `CHECKPOINT_FILE_NOT_UTF8`, `TOKENIZER_MALFORMED`
 */
export async function loadTokenizerFiles(checkpoint: CheckpointFiles): Promise<TokenizerFiles> {
  const tokenizer = await readJsonObject(checkpoint, TOKENIZER_JSON);
  const addedTokens = await readJsonObject(checkpoint, ADDED_TOKENS);
  return {
    checkpoint,
    tokenizer: tokenizer && tokenizerJson(tokenizer),
    tokenizerConfig: await readJsonObject(checkpoint, TOKENIZER_CONFIG),
    addedTokens:
      addedTokens &&
      new Map(
        Object.entries(addedTokens).map(([content, id]) => [
          content,
          tokenId(id, { file: ADDED_TOKENS, key: content }),
        ]),
      ),
    specialTokensMap: await readJsonObject(checkpoint, "special_tokens_map.json"),
  };
}

/** `added_tokens_decoder` of tokenizer_config.json, in the order of the ids; undefined when there is none. */
export function addedTokensDecoder(tokenizerConfig: JsonObject | undefined): AddedToken[] | undefined {
  const decoder = tokenizerConfig?.["added_tokens_decoder"];
  if (decoder === undefined || decoder === null) return undefined;
  if (!isJsonObject(decoder))
    throw malformedTokenizer({ file: TOKENIZER_CONFIG, key: "added_tokens_decoder" }, "an object");
  return Object.entries(decoder)
    .map(([id, token]) =>
      addedToken(token, { id: Number(id), file: TOKENIZER_CONFIG, key: `added_tokens_decoder.${id}` }),
    )
    .sort((a, b) => a.id - b.id);
}

/**
 * A token id from an untrusted file.
 *
 * @throws QuernError `TOKENIZER_MALFORMED`
 */
export function tokenId(value: unknown, place: { file: string; key: string }): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < LARGEST_VOCABULARY)
    return value;
  throw malformedTokenizer(
    place,
    `a token id from 0 to ${LARGEST_VOCABULARY - 1}, not ${JSON.stringify(value)}`,
  );
}

export function malformedTokenizer(place: { file: string; key?: string }, expected: string): QuernError {
  const where = place.key === undefined ? place.file : `${place.file}: ${place.key}`;
  return new QuernError("TOKENIZER_MALFORMED", `${where} must be ${expected}.`, { subject: place });
}

function tokenizerJson(json: JsonObject): TokenizerJson {
  const added = json["added_tokens"] ?? [];
  if (!Array.isArray(added))
    throw malformedTokenizer({ file: TOKENIZER_JSON, key: "added_tokens" }, "an array");
  const model = json["model"];
  if (!isJsonObject(model)) throw malformedTokenizer({ file: TOKENIZER_JSON, key: "model" }, "an object");
  return {
    model,
    modelType: modelType(model),
    addedTokens: added.map((token: unknown, index) => {
      const key = `added_tokens[${index}]`;
      const id = isJsonObject(token) ? token["id"] : undefined;
      return addedToken(token, { id, file: TOKENIZER_JSON, key });
    }),
    normalizer: part(json, "normalizer"),
    preTokenizer: part(json, "pre_tokenizer"),
    postProcessor: part(json, "post_processor"),
    decoder: part(json, "decoder"),
  };
}

/** Files from before the tokenizers library 0.9 do not name the type (GPT-2's own does not). */
function modelType(model: JsonObject): string {
  if (typeof model["type"] === "string") return model["type"];
  if ("merges" in model) return "BPE";
  if ("continuing_subword_prefix" in model) return "WordPiece";
  return Array.isArray(model["vocab"]) ? "Unigram" : "WordLevel";
}

function part(json: JsonObject, key: string): JsonObject | undefined {
  const value = json[key] ?? undefined;
  if (value === undefined) return undefined;
  if (!isJsonObject(value)) throw malformedTokenizer({ file: TOKENIZER_JSON, key }, "an object or null");
  if (!isShallow(value))
    throw malformedTokenizer({ file: TOKENIZER_JSON, key }, `nested no deeper than ${DEEPEST_NESTING}`);
  return value;
}

/** Sequences of steps may be nested; walking them must not exhaust the stack. */
const DEEPEST_NESTING = 32;

function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth < DEEPEST_NESTING && level.length > 0; depth++) {
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
  return level.length === 0;
}

function addedToken(token: unknown, place: { id: unknown; file: string; key: string }): AddedToken {
  if (!isJsonObject(token) || typeof token["content"] !== "string") {
    throw malformedTokenizer(place, "an object with a string `content`");
  }
  const special = token["special"] === true;
  const normalized = typeof token["normalized"] === "boolean" ? token["normalized"] : !special;
  return { id: tokenId(place.id, place), content: token["content"], normalized, special };
}
