import type { CheckpointFileSet } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import {
  TOKENIZER_CONFIG,
  TOKENIZER_JSON,
  malformedFile,
  readJsonFile,
  tokenContent,
} from "./checkpoint-files.ts";
import { libraryTokenizer } from "./library-tokenizer.ts";
import type { LibraryTokenizer, TokenizerDefinition } from "./library-tokenizer.ts";
import { splitAtSpaces } from "./split-at-spaces.ts";
import type { TextTokenizer } from "./text-tokenizer.ts";

/** Values of `model.type`. */
const MODEL_TYPES: readonly string[] = ["BPE", "Unigram", "WordPiece"];

/** Files of SentencePiece, from which a checkpoint without tokenizer.json takes its vocabulary. */
const SENTENCEPIECE_FILES = ["tokenizer.model", "sentencepiece.bpe.model", "spiece.model"];

/**
 * The tokenizer of a Hugging Face checkpoint: tokenizer.json with tokenizer_config.json.
 *
 * What is put around a text is what the post-processor says, unless tokenizer_config.json has `add_bos_token` or
 * `add_eos_token`: these count, as in the fast tokenizers of the transformers library and in llama.cpp's converter.
 *
 * @throws QuernError
 * - `TOKENIZER_MISSING` no tokenizer.json; the message says when there is a SentencePiece model instead, whose GGUF vocabulary
 *   `ggufTokenizer` takes
 * - `TOKENIZER_MALFORMED` a file that is not what it should be
 * - `TOKENIZER_UNSUPPORTED` a part that the library does not know
 * - `CHECKPOINT_*`, `SOURCE_*` reading failed
 */
export async function checkpointTokenizer(files: CheckpointFileSet): Promise<TextTokenizer> {
  const json = await readJsonFile(files, TOKENIZER_JSON);
  if (json === undefined) throw missingTokenizer(files);
  const config = (await readJsonFile(files, TOKENIZER_CONFIG)) ?? {};
  const name = `${files.name}/${TOKENIZER_JSON}`;
  const library = libraryTokenizer({ name, definition: splitAtSpaces(definitionOf(json, name)), config });
  const named = (role: string): number | undefined => {
    const content = tokenContent(config[role]);
    return content === undefined ? undefined : library.idOf(content);
  };
  const around = surroundings(library);
  const bos = named("bos_token") ?? named("cls_token") ?? around.prefix[0];
  const eos = named("eos_token") ?? named("sep_token") ?? around.suffix.at(-1);
  return {
    name,
    vocabularySize: library.vocabularySize,
    bos,
    eos,
    prefix: adjusted(around.prefix, { token: bos, asked: config["add_bos_token"], at: "start" }),
    suffix: adjusted(around.suffix, { token: eos, asked: config["add_eos_token"], at: "end" }),
    encode: library.encode,
  };
}

/** What the post-processor puts around a text, learnt from one. */
function surroundings(library: LibraryTokenizer): { prefix: number[]; suffix: number[] } {
  const probe = "a";
  const bare = library.encode(probe, "parse");
  const whole = [...library.encodeWhole(probe)];
  for (let start = 0; start + bare.length <= whole.length; start++) {
    if (bare.every((id, index) => whole[start + index] === id)) {
      return { prefix: whole.slice(0, start), suffix: whole.slice(start + bare.length) };
    }
  }
  return { prefix: [], suffix: [] };
}

function adjusted(
  tokens: readonly number[],
  params: { token: number | undefined; asked: unknown; at: "start" | "end" },
): readonly number[] {
  const { token, asked, at } = params;
  if (token === undefined || typeof asked !== "boolean") return tokens;
  const others = tokens.filter((id) => id !== token);
  if (!asked) return others;
  return at === "start" ? [token, ...others] : [...others, token];
}

function definitionOf(json: JsonObject, name: string): TokenizerDefinition {
  const { model, added_tokens: added = [] } = json;
  if (!isJsonObject(model)) throw malformedFile({ file: name, key: "model" }, "an object", model);
  if (!Array.isArray(added) || !added.every(isJsonObject)) {
    throw malformedFile({ file: name, key: "added_tokens" }, "an array of objects", added);
  }
  const part = (key: string): JsonObject | null => {
    const value = json[key] ?? null;
    if (value === null || isJsonObject(value)) return value;
    throw malformedFile({ file: name, key }, "an object or null", value);
  };
  return {
    model: { ...model, type: modelType(model, name) },
    added_tokens: added,
    normalizer: part("normalizer"),
    pre_tokenizer: part("pre_tokenizer"),
    post_processor: part("post_processor"),
    decoder: part("decoder"),
  };
}

/** Files from before the tokenizers library 0.9 do not name the type. */
function modelType(model: JsonObject, name: string): string {
  const { type } = model;
  if (typeof type === "string" && MODEL_TYPES.includes(type)) return type;
  if (type === undefined) {
    if ("merges" in model) return "BPE";
    if ("continuing_subword_prefix" in model) return "WordPiece";
    if (Array.isArray(model["vocab"])) return "Unigram";
  }
  throw new QuernError(
    "TOKENIZER_UNSUPPORTED",
    `${name}: model.type is ${JSON.stringify(type)}; text can be read with ${MODEL_TYPES.join(", ")}.`,
    { subject: { file: name, key: "model.type" } },
  );
}

function missingTokenizer(files: CheckpointFileSet): QuernError {
  const model = SENTENCEPIECE_FILES.find((file) => files.has(file));
  const instead =
    model === undefined
      ? ""
      : ` It has ${model}, a SentencePiece model: that is read through the GGUF vocabulary that is made from it.`;
  return new QuernError("TOKENIZER_MISSING", `${files.name} has no ${TOKENIZER_JSON}.${instead}`, {
    subject: { file: files.name },
  });
}
