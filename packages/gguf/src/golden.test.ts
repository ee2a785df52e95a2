import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { bytesSource } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import {
  type GgufMetadata,
  type GgufScalarType,
  ggufArray,
  ggufScalar,
  type GgufTensorSpec,
  type GgufValue,
  planGguf,
  readGguf,
} from "./index.ts";

interface GoldenPair {
  readonly key: string;
  readonly type: GgufScalarType | "array";
  readonly elements?: GgufScalarType;
  readonly length?: number;
  readonly value?: never;
  readonly sha256?: string;
}

interface GoldenFile {
  readonly file: { readonly size: number };
  readonly alignment: number;
  readonly data_offset: number;
  readonly kv: readonly GoldenPair[];
  readonly tensors: readonly { name: string; type: string; ne: number[]; size: number }[];
}

interface Tokenizer {
  readonly model: {
    readonly vocab: unknown;
    readonly merges?: readonly (string | readonly [string, string])[];
  };
  readonly added_tokens: readonly { id: number; content: string }[];
}

const golden = new URL("../../../fixtures/golden/", import.meta.url);
const readJson = (path: string): unknown => JSON.parse(readFileSync(new URL(path, golden), "utf8"));

/** Tokens in the order of their ids, with the converter's names for ids without one. */
function tokensOf({ model, added_tokens }: Tokenizer, length: number): string[] {
  const tokens: string[] = [];
  if (Array.isArray(model.vocab)) model.vocab.forEach(([token]: [string], id) => (tokens[id] = token));
  else for (const [token, id] of Object.entries(model.vocab as Record<string, number>)) tokens[id] = token;
  for (const { id, content } of added_tokens) tokens[id] = content;
  return Array.from({ length }, (_, id) => tokens[id] ?? `[PAD${id}]`);
}

function mergesOf({ model }: Tokenizer): string[] {
  return (model.merges ?? []).map((merge) =>
    typeof merge === "string" ? merge : merge.map((part) => part.replaceAll(" ", "Ġ")).join(" "),
  );
}

/** A value as long as the golden one; long strings are the real ones (their hash tells), long numbers are zeros. */
function valueOf(pair: GoldenPair, tokenizer: Tokenizer): GgufValue {
  const { type, elements = "uint8", length = 0 } = pair;
  if (type !== "array") return ggufScalar(type, pair.value ?? 0);
  if (pair.value !== undefined) return ggufArray(elements, pair.value);
  if (elements !== "string")
    return ggufArray(
      elements,
      Array.from({ length }, () => 0),
    );
  const strings = pair.key.endsWith(".merges") ? mergesOf(tokenizer) : tokensOf(tokenizer, length);
  expect(createHash("sha256").update(strings.join("\0")).digest("hex")).toBe(pair.sha256);
  return ggufArray("string", strings);
}

/** Cases whose vocabulary does not stand as such in tokenizer.json. */
const REWORKED = new Set(["bert", "gemma3", "xlm-roberta", "xlm-roberta-json"]);

const cases = readdirSync(golden).filter(
  (name) => existsSync(new URL(`${name}/checkpoint/tokenizer.json`, golden)) && !REWORKED.has(name),
);

describe("files of llama.cpp's converter", () => {
  it("are many", () => {
    expect(cases.length).toBeGreaterThanOrEqual(19);
  });

  it.each(cases)("%s: header, offsets and file size are the same", (name) => {
    const tokenizer = readJson(`${name}/checkpoint/tokenizer.json`) as Tokenizer;
    for (const type of ["f32", "f16", "bf16", "q8_0"]) {
      const expected = readJson(`${name}/expected/${type}.json`) as GoldenFile;
      const metadata: GgufMetadata = new Map(expected.kv.map((pair) => [pair.key, valueOf(pair, tokenizer)]));
      const tensors: readonly GgufTensorSpec[] = expected.tensors;
      const layout = planGguf({ metadata, tensors });
      expect(layout.header.length).toBe(expected.data_offset);
      expect(layout.fileSize).toBe(expected.file.size);
      expect(layout.alignment).toBe(expected.alignment);
      expect(layout.tensors.map(({ size }) => size)).toEqual(expected.tensors.map(({ size }) => size));
    }
  });
});

describe("files of llama-imatrix", () => {
  const matrices = readdirSync(golden).filter((name) => existsSync(new URL(`${name}/imatrix.gguf`, golden)));

  it.each(matrices)("%s: the header that is read is written again byte for byte", async (name) => {
    const bytes = readFileSync(new URL(`${name}/imatrix.gguf`, golden));
    const file = await readGguf(bytesSource({ bytes }));
    const layout = planGguf({ metadata: file.metadata, tensors: [...file.tensors.values()] });
    expect(Buffer.compare(layout.header, bytes.subarray(0, file.dataOffset))).toBe(0);
    expect(layout.fileSize).toBe(bytes.length);
    expect(layout.tensors).toEqual([...file.tensors.values()]);
  });
});
