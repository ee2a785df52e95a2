import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { describeModel } from "@quern/models";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkpointTokenizer } from "./checkpoint-tokenizer.ts";
import { ggufTokenizer } from "./gguf-tokenizer.ts";
import type { MetadataValue, VocabularyMetadata } from "./gguf-vocabulary.ts";
import type { TextTokenizer } from "./text-tokenizer.ts";

function metadata(entries: Readonly<Record<string, unknown>>): VocabularyMetadata {
  return new Map(
    Object.entries(entries).map(([key, value]): [string, MetadataValue] => [
      `tokenizer.ggml.${key}`,
      Array.isArray(value) ? value : { value },
    ]),
  );
}

const tokenizerOf = (entries: Readonly<Record<string, unknown>>): TextTokenizer =>
  ggufTokenizer({ name: "model.gguf", metadata: metadata(entries) });

const bytes = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

describe("SentencePiece BPE", () => {
  const pieces = ["▁", "a", "b", "c", "ab", "bc", "▁a", "aa"];
  const vocabulary = {
    model: "llama",
    tokens: ["<unk>", "<s>", "</s>", ...bytes, ...pieces, "<user>"],
    scores: [0, 0, 0, ...bytes.map(() => 0), -9, -9, -9, -9, -2, -1, -3, -2, 0],
    token_type: [2, 3, 3, ...bytes.map(() => 6), ...pieces.map(() => 1), 4],
    add_space_prefix: false,
  };
  const read = (
    text: string,
    change: Readonly<Record<string, unknown>> = {},
    specialTokens: "parse" | "text" = "text",
  ): string[] =>
    [...tokenizerOf({ ...vocabulary, ...change }).encode(text, specialTokens)].map(
      (id) => vocabulary.tokens[id]!,
    );

  it("joins the pair with the highest score first, the leftmost of equals", () => {
    expect(read("abc")).toEqual(["a", "bc"]);
    expect(read("ab")).toEqual(["ab"]);
    expect(read("aaa")).toEqual(["aa", "a"]);
    expect(read("aab")).toEqual(["aa", "b"]);
    expect(read("aabc")).toEqual(["aa", "bc"]);
    expect(read("")).toEqual([]);
  });

  it("writes spaces as U+2581 and puts one before text where the file says so", () => {
    expect(read("a a")).toEqual(["a", "▁a"]);
    expect(read("a", { add_space_prefix: true })).toEqual(["▁a"]);
    expect(read("a<user>a", { add_space_prefix: true })).toEqual(["▁a", "<user>", "▁a"]);
  });

  it("falls back to bytes", () => {
    expect(read("é😀")).toEqual(["<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]);
  });

  it("takes control tokens from text only when asked to, user-defined ones always", () => {
    expect(read("<s><user>", {}, "parse")).toEqual(["<s>", "<user>"]);
    expect(read("<s><user>")).toEqual(["<0x3C>", "<0x73>", "<0x3E>", "<user>"]);
  });

  it("knows some special tokens by their names", () => {
    const named = (text: string, others: readonly string[], specialTokens: "parse" | "text"): number[] => {
      const tokens = [...vocabulary.tokens.slice(0, -1), "<user>", ...others];
      const padding = others.map(() => 0);
      const change = {
        tokens,
        scores: [...vocabulary.scores, ...padding],
        token_type: [...vocabulary.token_type, ...others.map(() => 1)],
      };
      return [...tokenizerOf({ ...vocabulary, ...change }).encode(text, specialTokens)];
    };
    const added = vocabulary.tokens.length;
    expect(named("<|im_end|>", ["<|im_end|>"], "parse")).toEqual([added]);
    expect(named("<|im_end|>", ["<|im_end|>"], "text").length).toBeGreaterThan(1);
    expect(named("<|start|>", ["<|start|>"], "text")).toEqual([added]);
    expect(named("<|end|>", ["<|end|>"], "text").length).toBeGreaterThan(1);
    expect(named("<|end|>", ["<|end|>", "<|return|>", "<|call|>"], "text")).toEqual([added]);
    expect(named("</s>", [], "parse")).toEqual([2]);
    expect(named("</s>", ["<|tool_response>"], "parse").length).toBeGreaterThan(1);
  });

  it("adds BOS as the file says, otherwise as llama.cpp does", () => {
    const marks = (change: Readonly<Record<string, unknown>>): unknown => {
      const { bos, eos, prefix, suffix } = tokenizerOf({ ...vocabulary, ...change });
      return { bos, eos, prefix, suffix };
    };
    expect(marks({})).toEqual({ bos: 1, eos: 2, prefix: [1], suffix: [] });
    expect(marks({ add_bos_token: false, add_eos_token: true })).toEqual({
      bos: 1,
      eos: 2,
      prefix: [],
      suffix: [2],
    });
    expect(marks({ bos_token_id: 0, eos_token_id: 0xffffffff })).toEqual({
      bos: 0,
      eos: 2,
      prefix: [0],
      suffix: [],
    });
  });

  it("names a byte that the vocabulary lacks", () => {
    const tokens = vocabulary.tokens.map((token) => (token === "<0xC3>" ? "<gone>" : token));
    expect(() => tokenizerOf({ ...vocabulary, tokens }).encode("é", "text")).toThrow(
      expect.objectContaining({ code: "TOKENIZER_INCOMPLETE", message: expect.stringContaining("0xc3") }),
    );
  });

  it("gives back the text, in tokens of the vocabulary", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "b", "c", " ", "é", "漢", "😀"), maxLength: 60 }),
        (text) => {
          const written = read(text).flatMap((token) => {
            const byte = /^<0x(..)>$/.exec(token);
            return byte === null
              ? [...new TextEncoder().encode(token.replaceAll("▁", " "))]
              : [Number.parseInt(byte[1]!, 16)];
          });
          expect(new TextDecoder().decode(Uint8Array.from(written))).toBe(text);
        },
      ),
    );
  });
});

describe("byte-level BPE of converted checkpoints", () => {
  const golden = new URL("../../../../fixtures/golden/", import.meta.url);
  const { chktxt } = JSON.parse(readFileSync(new URL("pretokenizer-check.json", golden), "utf8")) as {
    chktxt: string;
  };

  it.each([
    "deepseek2-lite",
    "gpt-oss",
    "gpt2",
    "gptneox",
    "granite",
    "llama31-bpe",
    "olmo2",
    "qwen2",
    "qwen3moe",
    "smollm3",
    "stablelm",
    "starcoder2",
  ])("%s cuts text as its tokenizer.json does", async (name) => {
    const checkpoint = await openCheckpointDirectory(fileURLToPath(new URL(`${name}/checkpoint`, golden)));
    const model = await describeModel({ files: checkpoint.files, tensors: checkpoint.tensors });
    const ours = ggufTokenizer({ name, metadata: model.metadata({ fileType: 0 }) });
    const original = await checkpointTokenizer(checkpoint.files);
    expect(ours.encode(chktxt, "parse")).toEqual(original.encode(chktxt, "parse"));
    expect(ours.vocabularySize).toBeGreaterThanOrEqual(original.vocabularySize);
  });
});

describe("refusals", () => {
  const tokens = ["a", "b"];

  it.each([
    [{}, "TOKENIZER_MISSING", "no vocabulary"],
    [{ model: "llama", tokens: [] }, "TOKENIZER_MISSING", "no vocabulary"],
    [
      { model: "bert", tokens },
      "TOKENIZER_UNSUPPORTED",
      'tokenizer.ggml.model is "bert"; text can be read with "gpt2" and "llama"',
    ],
    [{ model: "gpt2", pre: "kimi-k2", tokens }, "TOKENIZER_UNSUPPORTED", 'pre-tokenizer "kimi-k2"'],
    [{ model: 5, tokens }, "TOKENIZER_MALFORMED", "tokenizer.ggml.model must be a string"],
    [{ model: "llama", tokens: "ab" }, "TOKENIZER_MALFORMED", "an array of strings"],
    [{ model: "llama", tokens: [1, 2] }, "TOKENIZER_MALFORMED", "an array of strings"],
    [{ model: "llama", tokens, scores: [1] }, "TOKENIZER_MALFORMED", "2 numbers, one for each token, not 1"],
    [
      { model: "llama", tokens, add_bos_token: "yes" },
      "TOKENIZER_MALFORMED",
      "add_bos_token must be a boolean",
    ],
  ])("%j", (entries, code, message) => {
    expect(() => tokenizerOf(entries)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
