import {
  type GgufMetadata,
  type GgufValue,
  ggufArray,
  ggufFloat32,
  ggufInt32,
  ggufString,
  ggufUint32,
  ggufUint64,
} from "@quern/gguf";
import { describe, expect, it } from "vitest";
import { overriddenMetadata } from "./overridden-metadata.ts";

const metadata: GgufMetadata = new Map<string, GgufValue>([
  ["general.architecture", ggufString("llama")],
  ["llama.block_count", ggufUint32(2)],
  ["llama.attention.head_count_kv", ggufArray("int32", [1, 2])],
]);

describe("overriddenMetadata", () => {
  it.each([
    ["llama.block_count", ggufInt32(80), true],
    ["llama.block_count", ggufUint64(80n), true],
    ["llama.block_count", ggufFloat32(80), false],
    ["general.architecture", ggufString("falcon"), true],
    ["general.architecture", ggufUint32(1), false],
    ["llama.expert_count", ggufUint32(8), true],
    ["llama.expert_count", ggufFloat32(8), false],
    ["llama.attention.head_count_kv", ggufUint32(8), false],
    ["llama.attention.head_count", ggufUint32(8), false],
  ] as const)("%s %o counts: %s", (key, value, counts) => {
    const seen = overriddenMetadata(metadata, new Map([[key, value]]));
    expect(seen.get(key)).toBe(counts ? value : metadata.get(key));
    expect(seen.size).toBe(metadata.size + (counts && !metadata.has(key) ? 1 : 0));
  });
});
