import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { expect } from "vitest";
import { describeVocabulary } from "../vocabulary/describe-vocabulary.ts";
import type { VocabularyInput } from "../vocabulary/describe-vocabulary.ts";
import { type Contents, memoryCheckpoint } from "./memory-checkpoint.ts";

export type Options = Partial<VocabularyInput["hints"]> & {
  readonly config?: VocabularyInput["config"];
  readonly pre?: string;
};

/** The vocabulary of a byte-level BPE, unless the options have other kinds of tokenizer. */
export async function vocabulary(
  contents: Contents,
  { config = {}, pre, ...hints }: Options = {},
): Promise<GgufMetadata> {
  return describeVocabulary({
    files: memoryCheckpoint(contents),
    config,
    hints: { tokenizers: ["byte-level-bpe"], ...hints },
    ...(pre === undefined ? {} : { preTokenizer: pre }),
  });
}

/** Value of "tokenizer.KEY", arrays as arrays; undefined when the key is missing. */
export function value(metadata: GgufMetadata, key: string): unknown {
  const found = metadata.get(`tokenizer.${key}`);
  return found?.type === "array" ? [...found] : found?.value;
}

export async function errorOf(vocabulary: Promise<GgufMetadata>): Promise<QuernError> {
  const error: unknown = await vocabulary.then(
    () => expect.unreachable("no error"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(QuernError);
  return error as QuernError;
}

/** An added token as tokenizer.json and tokenizer_config.json write it. */
export function added(
  id: number,
  content: string,
  flags: { special?: boolean; normalized?: boolean } = {},
): Contents {
  return {
    id,
    content,
    special: false,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
    ...flags,
  };
}

/** A post-processor; "A" and "B" are the sequences, everything else is a token. */
export function template(single: readonly string[], pair: readonly string[] = []): Contents {
  return { type: "TemplateProcessing", single: single.map(templateItem), pair: pair.map(templateItem) };
}

function templateItem(text: string): Contents {
  return text === "A" || text === "B" ? { Sequence: { id: text } } : { SpecialToken: { id: text } };
}

/** A tokenizer.json of byte-level BPE. */
export const bpe = {
  added_tokens: [added(3, "<s>", { special: true }), added(4, "</s>", { special: true })],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel" },
  post_processor: null,
  decoder: { type: "ByteLevel" },
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] },
};

/** A tokenizer.json of SentencePiece. */
export const spm = {
  ...bpe,
  pre_tokenizer: null,
  decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }] },
  model: {
    type: "BPE",
    byte_fallback: true,
    vocab: { "<s>": 0, "</s>": 1, "<0x0A>": 2, "▁a": 3 },
    merges: [],
  },
  added_tokens: [added(0, "<s>", { special: true }), added(1, "</s>", { special: true })],
};
