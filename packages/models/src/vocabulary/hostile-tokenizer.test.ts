import { QuernError } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Contents } from "../testing/memory-checkpoint.ts";
import { added, bpe, errorOf, vocabulary } from "../testing/tiny-tokenizers.ts";

const sequence = (decoders: string): string => `{"type":"Sequence","decoders":[${decoders}]}`;
const withDecoder = (decoder: string): string =>
  JSON.stringify({ ...bpe, decoder: "?" }).replace('"?"', () => decoder);
const nested = '{"type":"Sequence","decoders":['.repeat(5000) + "]}".repeat(5000);
const growing = '{"type":"Replace","pattern":{"String":"s"},"content":"ssss"}';

/** A step of a pipeline, with or without what it needs. */
const step = fc.record(
  {
    type: fc.constantFrom(
      "TemplateProcessing",
      "RobertaProcessing",
      "Replace",
      "Metaspace",
      "Strip",
      "BertNormalizer",
      "constructor",
    ),
    single: fc.jsonValue(),
    pair: fc.array(fc.jsonValue(), { maxLength: 3 }),
    pattern: fc.oneof(fc.jsonValue(), fc.constant({ String: "x" })),
    content: fc.oneof(fc.jsonValue(), fc.constantFrom("", "x", "xx")),
    replacement: fc.constantFrom("", "x", 3),
    start: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const steps = fc.array(step, { maxLength: 3 });
const sequenceOfSteps = fc.record(
  {
    type: fc.constant("Sequence"),
    processors: steps,
    decoders: steps,
    normalizers: steps,
    pretokenizers: steps,
  },
  { requiredKeys: ["type"] },
);

describe("files that cannot be used", () => {
  it("are named when there is none", async () => {
    const error = await errorOf(vocabulary({}, { tokenizers: ["sentencepiece", "byte-level-bpe"] }));
    expect(error.code).toBe("TOKENIZER_MISSING");
    expect(error.message).toContain("some-model");
    expect(error.message).toContain("tokenizer.model, tokenizer.json with model.type BPE");
  });

  it("are named when they are of another kind", async () => {
    const error = await errorOf(
      vocabulary({ "tokenizer.json": { model: { type: "Unigram", vocab: [["a", 0]] } } }),
    );
    expect(error.code).toBe("TOKENIZER_MISSING");
    expect(error.message).toContain("model.type Unigram");
  });

  it.each<[string, Contents, string, string]>([
    ["broken JSON", { "tokenizer.json": "{" }, "CHECKPOINT_JSON_MALFORMED", "tokenizer.json"],
    ["another kind of JSON", { "tokenizer.json": [] }, "CHECKPOINT_JSON_MALFORMED", "tokenizer.json"],
    [
      "bytes that are no text",
      { "tokenizer.json": bpe, "tokenizer_config.json": Uint8Array.of(0xff) },
      "CHECKPOINT_FILE_NOT_UTF8",
      "tokenizer_config.json",
    ],
    ["no model", { "tokenizer.json": {} }, "TOKENIZER_MALFORMED", "tokenizer.json"],
    [
      "a vocabulary that is none",
      { "tokenizer.json": { ...bpe, model: { type: "BPE", vocab: [] } } },
      "TOKENIZER_MALFORMED",
      "tokenizer.json",
    ],
    [
      "ids that are none",
      { "tokenizer.json": { ...bpe, model: { type: "BPE", vocab: { a: 0.5 } } } },
      "TOKENIZER_MALFORMED",
      "tokenizer.json",
    ],
    [
      "ids beyond any vocabulary",
      { "tokenizer.json": { ...bpe, model: { type: "BPE", vocab: { a: 1e9 } } } },
      "TOKENIZER_MALFORMED",
      "tokenizer.json",
    ],
    [
      "added tokens that are none",
      { "tokenizer.json": { ...bpe, added_tokens: ["<s>"] } },
      "TOKENIZER_MALFORMED",
      "tokenizer.json",
    ],
    [
      "steps within steps without end",
      { "tokenizer.json": withDecoder(nested) },
      "TOKENIZER_MALFORMED",
      "tokenizer.json",
    ],
    [
      "steps that make text grow without end",
      { "tokenizer.json": withDecoder(sequence(Array.from({ length: 40 }, () => growing).join(","))) },
      "TOKENIZER_MALFORMED",
      "tokenizer.json",
    ],
    [
      "added ids that are none",
      { "tokenizer.json": bpe, "added_tokens.json": { x: "3" } },
      "TOKENIZER_MALFORMED",
      "added_tokens.json",
    ],
    [
      "a decoder that is none",
      { "tokenizer.json": bpe, "tokenizer_config.json": { added_tokens_decoder: { x: added(1, "x") } } },
      "TOKENIZER_MALFORMED",
      "tokenizer_config.json",
    ],
    [
      "strings that have no UTF-8",
      { "tokenizer.json": { ...bpe, added_tokens: [added(3, "\ud800")] } },
      "GGUF_VALUE_INVALID",
      "",
    ],
  ])("%s", async (_, contents, code, file) => {
    const error = await errorOf(vocabulary(contents));
    expect([error.code, error.subject.file ?? ""]).toEqual([code, file]);
    expect(error.message).toContain(file);
  });

  it("have no more tokens than the model has rows", async () => {
    const error = await errorOf(vocabulary({ "tokenizer.json": bpe }, { vocabularySize: 4 }));
    expect(error.code).toBe("TOKENIZER_VOCABULARY_MISMATCH");
    expect(error.message).toMatch(/token id 4.*only 4 tokens/);
  });

  it.each([1e12, -1, 1.5])("do not make %d padding tokens", async (vocabularySize) => {
    const error = await errorOf(vocabulary({ "tokenizer.json": bpe }, { vocabularySize }));
    expect(error.code).toBe("TOKENIZER_VOCABULARY_MISMATCH");
  });

  it("make QuernErrors or vocabularies of arbitrary values", async () => {
    const places = ["added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places),
        fc.oneof(fc.jsonValue(), step, sequenceOfSteps),
        fc.jsonValue(),
        async (place, json, config) => {
          const contents = {
            "tokenizer.json": { ...bpe, added_tokens: [added(3, "▁x")], [place]: json },
            "tokenizer_config.json": { bos_token: json, chat_template: config, add_bos_token: config },
          };
          const result: unknown = await vocabulary(contents, { pre: "gpt-2" }).catch(
            (error: unknown) => error,
          );
          expect([Map, QuernError].some((type) => result instanceof type)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
