import { existsSync, readFileSync } from "node:fs";
import { bytesSource, QuernError, type TensorInfo } from "@quern/tensor";
import { readSafetensors } from "safetensors-js";
import { describe, expect, it } from "vitest";
import { describeModel } from "./describe-model.ts";
import type { CheckpointFiles, ModelInput } from "./model.ts";

const GOLDEN = new URL("../../../fixtures/golden/", import.meta.url);

/** A golden checkpoint of one shard; `replaced` files take the place of those on disk, null removes one. */
async function checkpoint(name: string, replaced: Record<string, unknown> = {}): Promise<ModelInput> {
  const folder = new URL(`${name}/checkpoint/`, GOLDEN);
  const has = (path: string): boolean =>
    Object.hasOwn(replaced, path) ? replaced[path] !== null : existsSync(new URL(path, folder));
  const files: CheckpointFiles = {
    name: "checkpoint",
    has,
    async read(path) {
      if (!has(path)) return undefined;
      if (Object.hasOwn(replaced, path)) return new TextEncoder().encode(JSON.stringify(replaced[path]));
      return readFileSync(new URL(path, folder));
    },
    list: () => [],
  };
  const file = await readSafetensors(
    bytesSource({ bytes: readFileSync(new URL("model.safetensors", folder)) }),
  );
  const names = [...file.tensors.keys()].sort();
  return { files, tensors: new Map(names.map((tensor) => [tensor, file.tensors.get(tensor)!.info])) };
}

const configOf = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`${name}/checkpoint/config.json`, GOLDEN), "utf8")) as Record<
    string,
    unknown
  >;

async function failure(input: ModelInput): Promise<QuernError> {
  try {
    await describeModel(input);
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("describeModel", () => {
  it("writes the file type where the converter writes it", async () => {
    const description = await describeModel(await checkpoint("qwen3"));
    const metadata = description.metadata({ fileType: 15 });
    const keys = [...metadata.keys()];
    expect(metadata.get("general.file_type")).toEqual({ type: "uint32", value: 15 });
    expect(keys[keys.indexOf("general.file_type") - 1]).toBe("qwen3.attention.value_length");
    expect(metadata.get("general.quantization_version")).toEqual({ type: "uint32", value: 2 });
  });

  it("calls floating-point files of a model with MXFP4 experts by their own number", async () => {
    const description = await describeModel(await checkpoint("gpt-oss"));
    const numberFor = (fileType: number): unknown =>
      description.metadata({ fileType }).get("general.file_type");
    for (const fileType of [0, 1, 32]) expect(numberFor(fileType)).toEqual({ type: "uint32", value: 38 });
    expect(numberFor(7)).toEqual({ type: "uint32", value: 7 });
  });

  it("says which tensors are kept as they are, and which follow the output type", async () => {
    const { tensors } = await describeModel(await checkpoint("gpt-oss"));
    const storageOf = (name: string): unknown => tensors.find((tensor) => tensor.name === name)?.storage;
    expect(storageOf("blk.0.ffn_gate_exps.weight")).toEqual({ packed: "MXFP4" });
    expect(storageOf("blk.0.ffn_gate_exps.bias")).toBe("f32");
    expect(storageOf("blk.0.ffn_gate_inp.weight")).toBe("f32");
    expect(storageOf("blk.0.attn_norm.weight")).toBe("f32");
    expect(storageOf("blk.0.attn_q.weight")).toBe("follow");
    expect(storageOf("token_embd.weight")).toBe("follow");
  });

  it("refuses checkpoints that are quantized in a way that it does not know", async () => {
    const config = { ...configOf("qwen3"), quantization_config: { quant_method: "aqlm", bits: 2 } };
    const error = await failure(await checkpoint("qwen3", { "config.json": config }));
    expect(error).toMatchObject({
      code: "CHECKPOINT_QUANTIZATION_UNKNOWN",
      subject: { key: "quant_method" },
    });
    expect(error.message).toContain('"aqlm"');
  });

  it("refuses a checkpoint without config.json", async () => {
    expect((await failure(await checkpoint("qwen3", { "config.json": null }))).code).toBe(
      "MODEL_CONFIG_MISSING",
    );
  });

  it("refuses an embedding without a row for each token", async () => {
    const input = await checkpoint("qwen3");
    const name = "model.embed_tokens.weight";
    const tensors = new Map<string, TensorInfo>(input.tensors).set(name, {
      name,
      type: "BF16",
      shape: [511, 256],
    });
    const error = await failure({ ...input, tensors });
    expect(error).toMatchObject({
      code: "MODEL_VOCABULARY_MISMATCH",
      subject: { tensor: "token_embd.weight" },
    });
    expect(error.message).toContain("[512, 256]");
  });

  it("leaves out rows of Gemma 3 that no token reaches", async () => {
    const input = await checkpoint("gemma3");
    const name = "model.embed_tokens.weight";
    const tensors = new Map<string, TensorInfo>(input.tensors).set(name, {
      name,
      type: "F16",
      shape: [768, 96],
    });
    const description = await describeModel({ ...input, tensors });
    expect(description.tensors.find(({ role }) => role === "embedding")?.shape).toEqual([751, 96]);
  });
});
