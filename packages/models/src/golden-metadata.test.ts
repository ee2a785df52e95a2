import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { GgufMetadata, GgufValue } from "@quern/gguf";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "./json-file.ts";
import type { CheckpointFiles } from "./model.ts";
import { generalMetadata } from "./metadata/general-metadata.ts";
import { countParameters } from "./metadata/size-label.ts";
import { describeVocabulary } from "./vocabulary/describe-vocabulary.ts";
import type { VocabularyHints } from "./vocabulary/vocabulary-hints.ts";

const golden = new URL("../../../fixtures/golden/", import.meta.url);

interface ExpectedPair {
  readonly key: string;
  readonly type: string;
  readonly value?: unknown;
  readonly elements?: string;
  readonly length?: number;
  readonly sha256?: string;
  readonly first?: readonly unknown[];
  readonly unordered?: true;
}

function json(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, golden), "utf8"));
}

function checkpointFolder(name: string): CheckpointFiles {
  const folder = new URL(`${name}/checkpoint/`, golden);
  return {
    name: "checkpoint",
    has: (path) => existsSync(new URL(path, folder)),
    async read(path) {
      const file = new URL(path, folder);
      return existsSync(file) ? new Uint8Array(await readFile(file)) : undefined;
    },
    list: (path) => (existsSync(new URL(path, folder)) ? readdirSync(new URL(path, folder)) : []),
  };
}

/** A value in the notation of the golden descriptions (fixtures/golden/README.md). */
function described(key: string, value: GgufValue, like: ExpectedPair | undefined): ExpectedPair {
  if (value.type !== "array") return { key, type: value.type, value: (value as { value: unknown }).value };
  const items = [...(value as Iterable<unknown>)];
  const { elements, length } = value as { elements: string; length: number };
  const base = { key, type: "array", elements, length };
  if (length <= 64) {
    const order = like?.unordered ? ({ unordered: true } as const) : {};
    return { ...base, value: items, ...order };
  }
  return { ...base, sha256: hash(elements, items), first: items.slice(0, 5) };
}

function hash(elements: string, items: readonly unknown[]): string {
  const numbers = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
  const bytes =
    elements === "string"
      ? Buffer.from(items.join("\0"), "utf8")
      : numbers[elements as keyof typeof numbers].from(items as number[]);
  return createHash("sha256").update(bytes).digest("hex");
}

function describedAll(metadata: GgufMetadata, expected: readonly ExpectedPair[]): ExpectedPair[] {
  return [...metadata].map(([key, value]) =>
    described(
      key,
      value,
      expected.find((pair) => pair.key === key),
    ),
  );
}

/** In the order in which our sets are written. */
function sorted(pair: ExpectedPair): ExpectedPair {
  return pair.unordered ? { ...pair, value: [...(pair.value as string[])].sort() } : pair;
}

const LLAMA = ["sentencepiece", "sentencepiece-json", "byte-level-bpe"] as const;
const QWEN2 = ["sentencepiece", "byte-level-bpe"] as const;
const BPE = ["byte-level-bpe"] as const;
const llama: VocabularyHints = { tokenizers: LLAMA, copiesAddPrefixSpace: true };

/** What llama.cpp's conversion/<family>.py knows about each case. */
const CASES: readonly (readonly [name: string, hints: VocabularyHints])[] = [
  ["bert", { tokenizers: ["wordpiece"], tokenTypeCount: 2 }],
  ["cohere2", { tokenizers: BPE }],
  ["deepseek2-lite", { tokenizers: BPE }],
  ["falcon-7b", { tokenizers: BPE }],
  ["gemma2", { tokenizers: ["sentencepiece"], addSpacePrefix: false }],
  ["gemma3", { tokenizers: QWEN2, addSpacePrefix: false }],
  [
    "glm4",
    {
      tokenizers: BPE,
      fallbackSpecialTokens: {
        eos: "<|endoftext|>",
        eot: "<|user|>",
        unk: "<|endoftext|>",
        bos: "<|endoftext|>",
      },
    },
  ],
  ["gpt-oss", { tokenizers: BPE }],
  ["gpt2", { tokenizers: BPE }],
  ["gptneox", { tokenizers: BPE }],
  ["granite", llama],
  ["llama2-spm", llama],
  ["llama31-bpe", llama],
  ["mistral-hf", llama],
  ["mixtral", llama],
  ["olmo2", { tokenizers: BPE }],
  ["phi3", { tokenizers: ["phi3-sentencepiece", "sentencepiece-json", "byte-level-bpe"] }],
  ["qwen2", { tokenizers: QWEN2 }],
  ["qwen2moe", { tokenizers: BPE }],
  ["qwen3", { tokenizers: QWEN2 }],
  ["qwen3moe", { tokenizers: BPE }],
  ["smollm3", llama],
  ["stablelm", { tokenizers: BPE }],
  ["starcoder2", { tokenizers: BPE }],
  ["xlm-roberta", { tokenizers: ["unigram"], tokenTypeCount: 1 }],
  ["xlm-roberta-json", { tokenizers: ["unigram"], tokenTypeCount: 1 }],
];

const names = readdirSync(golden).filter((name) => existsSync(new URL(`${name}/checkpoint`, golden)));

it("has the hints of every golden case", () => {
  expect(CASES.map(([name]) => name)).toEqual(names.toSorted());
});

describe("tokenizer metadata of the reference converter", () => {
  it.each(CASES)("%s", async (name, hints) => {
    const config = json(`${name}/checkpoint/config.json`) as JsonObject;
    const vocabularySize = config["vocab_size"] as number;
    const metadata = await describeVocabulary({
      files: checkpointFolder(name),
      config,
      hints: { ...hints, vocabularySize },
    });
    const { kv } = json(`${name}/expected/f32.json`) as { kv: ExpectedPair[] };
    const expected = kv.filter(({ key }) => key.startsWith("tokenizer."));
    expect(describedAll(metadata, expected)).toEqual(expected.map(sorted));
  });

  it.each(CASES.filter(([name]) => existsSync(new URL(`${name}/expected/pretokenizer.json`, golden))))(
    "pre-tokenizer of %s",
    async (name, hints) => {
      const config = json(`${name}/checkpoint/config.json`) as JsonObject;
      const metadata = await describeVocabulary({ files: checkpointFolder(name), config, hints });
      const { pre } = json(`${name}/expected/pretokenizer.json`) as { pre: string };
      expect(metadata.get("tokenizer.ggml.pre")).toEqual({ type: "string", value: pre });
    },
  );
});

/** Written beside the keys of the architecture. */
const NOT_GENERAL = ["general.architecture", "general.file_type", "general.quantization_version"];

describe("general metadata of the reference converter", () => {
  it.each(names)("%s", async (name) => {
    const { kv, tensors } = json(`${name}/expected/f32.json`) as {
      kv: ExpectedPair[];
      tensors: { name: string; ne: number[] }[];
    };
    const metadata = await generalMetadata({
      files: checkpointFolder(name),
      config: json(`${name}/checkpoint/config.json`) as JsonObject,
      parameters: countParameters(tensors.map(({ name, ne }) => ({ name, shape: ne.toReversed() }))),
      onWarning: (warning) => expect.unreachable(warning.message),
    });
    const expected = kv.filter(({ key }) => key.startsWith("general.") && !NOT_GENERAL.includes(key));
    expect(describedAll(metadata, expected)).toEqual(expected);
  });
});
