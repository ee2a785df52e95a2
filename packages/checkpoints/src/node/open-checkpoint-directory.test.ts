import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
import { localPaths } from "./shard-locations.ts";

const golden = fileURLToPath(new URL("../../../../fixtures/golden/", import.meta.url));
const sharded = join(golden, "llama31-bpe", "checkpoint");
const single = join(golden, "gpt2", "checkpoint");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "checkpoint-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A copy of a golden checkpoint that a test may damage. */
async function copyOf(checkpoint: string): Promise<string> {
  const copy = join(folder, "model");
  await cp(checkpoint, copy, { recursive: true });
  return copy;
}

async function editIndex(path: string, edit: (weightMap: Record<string, string>) => void): Promise<void> {
  const file = join(path, "model.safetensors.index.json");
  const index = JSON.parse(await readFile(file, "utf8"));
  edit(index.weight_map);
  await writeFile(file, JSON.stringify(index));
}

describe("openCheckpointDirectory", () => {
  it("orders tensors by shard, then by name", async () => {
    const checkpoint = await openCheckpointDirectory(sharded);
    const order = [...checkpoint.tensors.values()].map(({ shard, name }) => `${shard} ${name}`);
    expect(order).toEqual([...order].sort());
    expect(order.length).toBeGreaterThan(10);
    expect(checkpoint.shards.map(({ name }) => name)).toEqual(
      (await readdir(sharded)).filter((name) => name.endsWith(".safetensors")).sort(),
    );
    expect(checkpoint.name).toBe("checkpoint");
  });

  it("says where the bytes of every tensor are", async () => {
    const checkpoint = await openCheckpointDirectory(single);
    const [shard] = checkpoint.shards;
    const bytes = await readFile(localPaths([shard!])[0]!);
    expect(shard!.size).toBe(bytes.byteLength);
    const tensor = checkpoint.tensors.get("wpe.weight") ?? checkpoint.tensors.get("transformer.wpe.weight");
    expect(tensor).toMatchObject({ type: "F32", shard: "model.safetensors" });
    expect(tensor!.size).toBe(tensor!.shape.reduce((a, b) => a * b) * 4);
    const dataSize = bytes.byteLength - 8 - Number(bytes.readBigUInt64LE(0));
    expect(checkpoint.totalBytes).toBe(dataSize);
    expect(tensor!.offset + tensor!.size).toBeLessThanOrEqual(bytes.byteLength);
  });

  it("reads small files and knows which there are", async () => {
    const { files } = await openCheckpointDirectory(single);
    expect(files.has("config.json")).toBe(true);
    expect(files.has("missing.json")).toBe(false);
    expect(JSON.parse(new TextDecoder().decode(await files.read("config.json"))).model_type).toBe("gpt2");
    expect(await files.read("missing.json")).toBeUndefined();
    expect(files.list("")).toContain("config.json");
    expect(files.list("missing")).toEqual([]);
    expect(files.list("config.json")).toEqual([]);
    expect(() => files.list("..")).toThrow(expect.objectContaining({ code: "CHECKPOINT_PATH" }));
    expect(await files.read("config.json/below-a-file")).toBeUndefined();
    expect(() => files.has("../expected/f32.json")).toThrow(
      expect.objectContaining({ code: "CHECKPOINT_PATH" }),
    );
    for (const path of ["../expected/f32.json", "/etc/hostname", "a/../../x", "a\\b", "C:x", ""]) {
      await expect(files.read(path)).rejects.toMatchObject({ code: "CHECKPOINT_PATH" });
    }
  });

  it("finds weights without an index, under any name", async () => {
    const copy = await copyOf(single);
    await rename(join(copy, "model.safetensors"), join(copy, "weights.safetensors"));
    const { shards } = await openCheckpointDirectory(copy);
    expect(shards.map(({ name }) => name)).toEqual(["weights.safetensors"]);
    await cp(join(single, "model.safetensors"), join(copy, "model.safetensors"));
    const preferred = await openCheckpointDirectory(copy);
    expect(preferred.shards.map(({ name }) => name)).toEqual(["model.safetensors"]);
  });

  it("follows the links of a Hub cache, and takes the repository's name", async () => {
    const cache = join(folder, "models--owner--tiny-model");
    const snapshot = join(cache, "snapshots", "0123abcd");
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(cache, "blobs"));
    for (const [index, name] of (await readdir(single)).entries()) {
      await cp(join(single, name), join(cache, "blobs", `hash${index}`));
      await symlink(join("..", "..", "blobs", `hash${index}`), join(snapshot, name));
    }
    const checkpoint = await openCheckpointDirectory(snapshot);
    expect(checkpoint.name).toBe("tiny-model");
    expect(checkpoint.tensors.size).toBeGreaterThan(10);
    expect(await checkpoint.files.read("config.json")).toBeDefined();
  });

  it("refuses links that lead out of the folder", async () => {
    const copy = await copyOf(single);
    const secret = join(folder, "secret.json");
    await writeFile(secret, "{}");
    await symlink(secret, join(copy, "linked.json"));
    await symlink("config.json", join(copy, "inner.json"));
    const { files } = await openCheckpointDirectory(copy);
    await expect(files.read("linked.json")).rejects.toMatchObject({ code: "CHECKPOINT_PATH" });
    expect(await files.read("inner.json")).toBeDefined();

    await rename(join(copy, "model.safetensors"), join(folder, "elsewhere.safetensors"));
    await symlink(join(folder, "elsewhere.safetensors"), join(copy, "model.safetensors"));
    await expect(openCheckpointDirectory(copy)).rejects.toMatchObject({ code: "CHECKPOINT_PATH" });
  });

  it("reports a missing shard, a truncated one and one that lacks a tensor", async () => {
    const copy = await copyOf(sharded);
    const shard = "model-00002-of-00003.safetensors";
    await editIndex(copy, (map) => (map["no.such.tensor"] = shard));
    await expect(openCheckpointDirectory(copy)).rejects.toMatchObject({
      code: "SAFETENSORS_MISSING_TENSOR",
      subject: { tensor: "no.such.tensor", file: shard },
    });
    await editIndex(copy, (map) => delete map["no.such.tensor"]);
    await openCheckpointDirectory(copy);
    await truncate(join(copy, shard), 5000);
    await expect(openCheckpointDirectory(copy)).rejects.toMatchObject({
      subject: { file: join(copy, shard) },
    });
    await rm(join(copy, shard));
    await expect(openCheckpointDirectory(copy)).rejects.toMatchObject({
      code: "SAFETENSORS_MISSING_SHARD",
      subject: { file: shard },
    });
  });

  it("refuses an index that leads out of the folder", async () => {
    const copy = await copyOf(sharded);
    await editIndex(copy, (map) => (map["model.norm.weight"] = "../model.safetensors"));
    await expect(openCheckpointDirectory(copy)).rejects.toMatchObject({
      code: "SAFETENSORS_INDEX_ESCAPES_FOLDER",
    });
  });

  it("says what is there when there are no safetensors", async () => {
    await expect(openCheckpointDirectory(folder)).rejects.toMatchObject({ code: "CHECKPOINT_NO_WEIGHTS" });
    await writeFile(join(folder, "pytorch_model.bin"), "x");
    const error = await openCheckpointDirectory(folder).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "CHECKPOINT_NO_SAFETENSORS" });
    expect((error as Error).message).toContain("pytorch_model.bin");
    await expect(openCheckpointDirectory(join(folder, "pytorch_model.bin"))).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_A_FOLDER",
    });
    await expect(openCheckpointDirectory(join(folder, "nowhere"))).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_FOUND",
    });
  });

  it("refuses to read a huge file whole", async () => {
    const copy = await copyOf(single);
    await writeFile(join(copy, "tokenizer.json"), "");
    await truncate(join(copy, "tokenizer.json"), 2 ** 40);
    const { files } = await openCheckpointDirectory(copy);
    await expect(files.read("tokenizer.json")).rejects.toMatchObject({ code: "CHECKPOINT_FILE_TOO_LARGE" });
  });
});
