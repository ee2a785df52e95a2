import { ggufString } from "@quern/gguf";
import { describe, expect, it } from "vitest";
import { describeSource } from "./describe-source.ts";
import type { ModelInput } from "./model.ts";
import { goldenCheckpoint } from "./testing/golden-checkpoint.ts";

/** A checkpoint that takes down what is read, and of which nothing can be read while it is `away`. */
async function watched(): Promise<ModelInput & { readonly reads: string[]; away: boolean }> {
  const { input } = await goldenCheckpoint("llama31-bpe");
  const source = {
    ...input,
    reads: new Array<string>(),
    away: false,
    files: {
      ...input.files,
      read: async (path: string) => {
        source.reads.push(path);
        if (source.away) throw new Error("away");
        return input.files.read(path);
      },
    },
  };
  return source;
}

describe("describeSource", () => {
  it("reads what a source says of itself once, whoever asks, and for each pre-tokenizer", async () => {
    const source = await watched();
    const [one, other] = await Promise.all([describeSource(source), describeSource(source)]);
    expect(await describeSource(source)).toBe(one);
    expect(other).toBe(one);
    const vocabularies = (): number => source.reads.filter((path) => path === "tokenizer.json").length;
    expect(vocabularies()).toBe(1);
    const pre = (description: typeof one): unknown =>
      description.metadata({ fileType: 0 }).get("tokenizer.ggml.pre");
    const qwen = await describeSource(source, { preTokenizer: "qwen2" });
    expect([pre(one), pre(qwen)]).toEqual([ggufString("llama-bpe"), ggufString("qwen2")]);
    expect(vocabularies()).toBe(2);
  });

  it("tries again after a failure", async () => {
    const source = await watched();
    source.away = true;
    await expect(describeSource(source)).rejects.toThrow("away");
    source.away = false;
    expect((await describeSource(source)).architecture).toBe("llama");
  });
});
