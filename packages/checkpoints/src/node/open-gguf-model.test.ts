import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ggufString, type GgufTensorSpec, planGguf, planGgufSplits, splitFileName } from "@quern/gguf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openGgufModel } from "./open-gguf-model.ts";
import { localPaths } from "./shard-locations.ts";
import { openModel } from "./open-model.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gguf-model-"));
});
afterEach(() => rm(folder, { recursive: true }));

const metadata = new Map([
  ["x.unknown", ggufString("kept")],
  ["general.architecture", ggufString("llama")],
]);

const tensors: readonly GgufTensorSpec[] = [
  { name: "b.weight", type: "Q4_K", ne: [512, 3, 2] },
  { name: "a.weight", type: "BF16", ne: [8, 2] },
  { name: "ids", type: "I32", ne: [4] },
];

async function writeFileOf(layout: { header: Uint8Array; fileSize: number }, path: string): Promise<void> {
  await writeFile(path, layout.header);
  await truncate(path, layout.fileSize);
}

async function writeOne(): Promise<string> {
  const path = join(folder, "model.gguf");
  await writeFileOf(planGguf({ metadata, tensors }), path);
  return path;
}

async function writeSet(): Promise<string[]> {
  const layouts = planGgufSplits({ metadata, tensors, division: { maxTensors: 1 } });
  const paths = layouts.map((_, index) =>
    join(folder, splitFileName({ prefix: "model", index, count: layouts.length })),
  );
  for (const [index, layout] of layouts.entries()) await writeFileOf(layout, paths[index]!);
  return paths;
}

describe("openGgufModel", () => {
  it("sees a file as tensors with rows of bytes", async () => {
    const path = await writeOne();
    const model = await openGgufModel(path);
    expect([...model.metadata.keys()]).toEqual(["x.unknown", "general.architecture"]);
    expect(model).toMatchObject({
      name: "model",
      location: path,
      shards: [{ name: "model.gguf", location: { kind: "file", path } }],
    });
    expect([...model.tensors.values()]).toMatchObject([
      // 2 blocks of 144 bytes a row
      { name: "b.weight", ggmlType: "Q4_K", ne: [512, 3, 2], type: "U8", shape: [2, 3, 288], size: 1728 },
      { name: "a.weight", ggmlType: "BF16", type: "BF16", shape: [2, 8], size: 32 },
      { name: "ids", ggmlType: "I32", type: "I32", shape: [4], file: 0, shard: "model.gguf" },
    ]);
    expect(model.totalBytes).toBe(1728 + 32 + 16);
  });

  it("opens a set by any of its files", async () => {
    const paths = await writeSet();
    for (const path of paths) {
      const model = await openGgufModel(path);
      expect(model).toMatchObject({ name: "model", location: paths[0] });
      expect([...model.metadata.keys()]).toEqual(["x.unknown", "general.architecture"]);
      expect([...model.tensors.values()].map(({ file, shard }) => [file, shard])).toEqual([
        [0, "model-00001-of-00003.gguf"],
        [1, "model-00002-of-00003.gguf"],
        [2, "model-00003-of-00003.gguf"],
      ]);
    }
  });

  it("follows links to where the files are, by the names of the links", async () => {
    const paths = await writeSet();
    const blobs = join(folder, "blobs");
    await mkdir(blobs);
    for (const [index, path] of paths.entries()) {
      await rename(path, join(blobs, `${index}`));
      await symlink(join(blobs, `${index}`), path);
    }
    const { shards, name } = await openGgufModel(paths[1]!);
    expect(name).toBe("model");
    expect(localPaths(shards)).toEqual([0, 1, 2].map((index) => join(blobs, `${index}`)));
  });

  it("names the file of a set that is missing, cut or another's", async () => {
    const paths = await writeSet();
    await truncate(paths[1]!, 100);
    await expect(openGgufModel(paths[0]!)).rejects.toMatchObject({
      code: "GGUF_TRUNCATED",
      subject: { file: paths[1] },
    });
    await rm(paths[1]!);
    await expect(openGgufModel(paths[0]!)).rejects.toMatchObject({
      code: "SOURCE_NOT_FOUND",
      subject: { file: paths[1] },
    });
    await writeFileOf(planGguf({ metadata, tensors: tensors.slice(1, 2) }), paths[1]!);
    await expect(openGgufModel(paths[0]!)).rejects.toMatchObject({
      code: "GGUF_SPLIT_INVALID",
      subject: { file: paths[1] },
    });
  });

  it("refuses tensors that are cut off", async () => {
    const path = await writeOne();
    await truncate(path, planGguf({ metadata, tensors }).fileSize - 100);
    await expect(openGgufModel(path)).rejects.toMatchObject({ code: "GGUF_TENSOR_OUTSIDE_FILE" });
  });
});

describe("openModel", () => {
  it("goes by what is there", async () => {
    const path = await writeOne();
    expect(await openModel(path)).toMatchObject({ metadata });
    const nameless = join(folder, "blob");
    await rename(path, nameless);
    expect(await openModel(nameless)).toMatchObject({ name: "blob", metadata });
    await writeFile(path, "nothing");
    await expect(openModel(path)).rejects.toMatchObject({ code: "GGUF_NOT_GGUF" });
    const other = join(folder, "model.bin");
    await writeFile(other, "PK");
    await expect(openModel(other)).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_A_FOLDER",
      subject: { file: other },
    });
    await expect(openModel(join(folder, "absent"))).rejects.toMatchObject({ code: "CHECKPOINT_NOT_FOUND" });
    await expect(openModel(folder)).rejects.toMatchObject({ code: "CHECKPOINT_NO_SAFETENSORS" });
  });
});
