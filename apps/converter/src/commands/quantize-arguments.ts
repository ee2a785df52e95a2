import { dirname, join, resolve } from "node:path";
import { listRecipes } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { closest } from "../suggestion.ts";
import { isDirectory, outputTarget } from "./output-target.ts";

/** What the words behind the options of `quern quantize` mean. */
export interface QuantizeArguments {
  /** As the user gave it. */
  readonly model: string;
  /** Absolute path of the file to write. */
  readonly path: string;
  /** Name of a recipe. */
  readonly type: string;
  /** Worker threads; undefined for one per core. */
  readonly threads?: number;
}

/** Short names that `llama-quantize` takes for the middle one of a family, and prefers when the type is given by number. */
const shortNames: Readonly<Record<string, string>> = { Q3_K: "Q3_K_M", Q4_K: "Q4_K_M", Q5_K: "Q5_K_M" };

/**
 * Reads `MODEL [OUTPUT] TYPE [THREADS]` as `llama-quantize` does: the second word is the type if it can be one. Without an output the
 * file is called `ggml-model-<TYPE>.gguf`, with the type as it was spelled, beside the model. An output that is a folder, or ends in
 * "/", is one here. Stricter: `llama-quantize` takes "7b.gguf" for type number 7, and any word for a number of threads.
 *
 * Source: tools/quantize/quantize.cpp (llama.cpp v0.5.0), `try_parse_ftype` and `llama_quantize`.
 *
 * @throws QuernError `USAGE_ARGUMENTS`
 */
export function quantizeArguments(words: readonly string[], cwd: string): QuantizeArguments {
  const [model, second, ...rest] = words;
  if (model === undefined || second === undefined) {
    throw usage("Name a model and a type: quern quantize model.gguf [output.gguf] Q4_K_M [threads].");
  }
  const type = typeOf(second);
  const [output, label, ...more] =
    type === undefined
      ? [second, requiredType(second, rest[0]), ...rest.slice(1)]
      : [undefined, type, ...rest];
  if (more.length > 1) {
    throw usage(`Nothing comes after the number of threads, but there is ${quoted(more.slice(1))}.`);
  }
  const threads = more[0] === undefined ? undefined : threadsOf(more[0]);
  return {
    model,
    path: outputPath({ model, output, label: label, cwd }),
    type: shortNames[label] ?? label,
    ...(threads === undefined || threads === 0 ? {} : { threads }),
  };
}

/** The type as `llama-quantize` spells it, by name in any case or by number; undefined for what is neither. */
function typeOf(word: string): string | undefined {
  const upper = word.toUpperCase();
  const recipes = listRecipes();
  if (Object.hasOwn(shortNames, upper)) {
    return upper;
  }
  if (!/^\d+$/.test(word)) {
    return recipes.find(({ name }) => name === upper)?.name;
  }
  const name = recipes.find(({ fileType }) => fileType === Number(word))?.name;
  const short = Object.entries(shortNames).find(([, full]) => full === name)?.[0];
  return short ?? name;
}

function requiredType(output: string, word: string | undefined): string {
  if (word === undefined) {
    throw usage(`${unknownType(output)} If it is the file to write, a type comes after it.`);
  }
  const type = typeOf(word);
  if (type === undefined) {
    throw usage(unknownType(word));
  }
  return type;
}

function unknownType(word: string): string {
  const meant = closest(word, [...listRecipes().map(({ name }) => name), ...Object.keys(shortNames)]);
  return `There is no type "${word}"; ${meant === undefined ? '"quern types" lists them.' : `did you mean ${meant}?`}`;
}

function threadsOf(word: string): number {
  if (!/^-?\d+$/.test(word)) {
    throw usage(`${quoted([word])} is no number of threads.`);
  }
  return Math.max(Number(word), 0);
}

function outputPath(params: {
  model: string;
  output: string | undefined;
  label: string;
  cwd: string;
}): string {
  const { model, output, label, cwd } = params;
  const name = `ggml-model-${label}.gguf`;
  if (output !== undefined) {
    const { file, directory } = outputTarget(output, cwd);
    return file ?? join(directory, name);
  }
  const path = resolve(cwd, model);
  return join(isDirectory(path) ? path : dirname(path), name);
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(" ");
}

function usage(message: string): QuernError {
  return new QuernError("USAGE_ARGUMENTS", message);
}
