import {
  chmod,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GgufEdit, ggufString } from "../index.ts";
import { modelTensors, writeModel } from "../testing/model-file.ts";
import {
  copyGguf,
  editGguf,
  openGgufSet,
  planGgufFileEdit,
  planGgufFileSplit,
  restoreGgufHeader,
} from "./index.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "edit-gguf-"));
  path = join(folder, "m.gguf");
  await writeModel(path);
});
afterEach(() => rm(folder, { recursive: true }));

const renamed = (name: string): GgufEdit => ({ set: new Map([["general.name", ggufString(name)]]) });
const longName = "x".repeat(200);

async function contentOf(file: string): Promise<{ name: unknown; data: Map<string, Uint8Array> }> {
  const set = await openGgufSet({ path: file });
  const data = new Map<string, Uint8Array>();
  for (const name of set.tensors.keys()) data.set(name, await set.readTensor(name));
  await set.close();
  return { name: set.metadata.get("general.name"), data };
}

describe("in place", () => {
  it("overwrites the header where the new one fits, and touches nothing behind it", async () => {
    const before = await readFile(path);
    const { ino } = await stat(path);
    const edit = await planGgufFileEdit({ path, edit: renamed("short") });
    expect(edit.method).toBe("patch");
    expect(await readFile(path)).toEqual(before);
    await editGguf(edit);
    const after = await readFile(path);
    const set = await openGgufSet({ path });
    await set.close();
    const { dataOffset } = set.files[0]!;
    expect(after.length).toBe(before.length);
    expect(after.subarray(dataOffset)).toEqual(before.subarray(dataOffset));
    expect(set.metadata.get("general.name")).toEqual(ggufString("short"));
    expect((await stat(path)).ino).toBe(ino);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("copies the file where the new header does not fit; the copy is as accessible as the file was", async () => {
    await chmod(path, 0o640);
    const { data } = await contentOf(path);
    const edit = await planGgufFileEdit({ path, edit: renamed(longName) });
    expect(edit.method).toBe("copy");
    await editGguf(edit);
    expect(await contentOf(path)).toEqual({ name: ggufString(longName), data });
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("writes nothing when nothing is different", async () => {
    const edit = await planGgufFileEdit({ path, edit: renamed("A model with a name") });
    expect(edit).toEqual({ method: "none", changes: [] });
    const { mtimeMs } = await stat(path);
    await editGguf(edit);
    expect((await stat(path)).mtimeMs).toBe(mtimeMs);
  });

  it.each(["short", longName])(
    "changes the file that a link leads to, and keeps the link: %s",
    async (name) => {
      const link = join(folder, "link.gguf");
      await symlink(path, link);
      await editGguf(await planGgufFileEdit({ path: link, edit: renamed(name) }));
      expect((await contentOf(path)).name).toEqual(ggufString(name));
      expect(await readFile(link)).toEqual(await readFile(path));
    },
  );

  it.each(["short", longName])("changes the first file of a set alone: %s", async (name) => {
    await copyGguf(await planGgufFileSplit({ path, division: { maxTensors: 2 } }));
    const files = [1, 2, 3].map((part) => join(folder, `m-0000${part}-of-00003.gguf`));
    const { data } = await contentOf(path);
    const others = await Promise.all(files.slice(1).map((file) => readFile(file)));
    await editGguf(await planGgufFileEdit({ path: files[2]!, edit: renamed(name) }));
    expect(await contentOf(files[0]!)).toEqual({ name: ggufString(name), data });
    expect(await Promise.all(files.slice(1).map((file) => readFile(file)))).toEqual(others);
  });

  it("changes a first file without tensors by writing it anew", async () => {
    const division = { maxTensors: 3, firstWithoutTensors: true };
    await copyGguf(await planGgufFileSplit({ path, division }));
    const first = join(folder, "m-00001-of-00003.gguf");
    const { data } = await contentOf(path);
    const edit = await planGgufFileEdit({ path: first, edit: renamed("n") });
    expect(edit).toMatchObject({ method: "copy", copy: { bytes: 0 } });
    await editGguf(edit);
    expect(await contentOf(first)).toEqual({ name: ggufString("n"), data });
  });

  it("refuses when the header is no longer the one that was planned for", async () => {
    const first = await planGgufFileEdit({ path, edit: renamed("first") });
    const second = await planGgufFileEdit({ path, edit: renamed("second") });
    await editGguf(first);
    await expect(editGguf(second)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    expect((await contentOf(path)).name).toEqual(ggufString("first"));
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });
});

describe("an edit in place that was interrupted", () => {
  /** Leaves the file as a crash would: the undo file is there, and `written` bytes of the new header. */
  async function interrupt(written: number): Promise<Buffer> {
    const before = await readFile(path);
    const edit = await planGgufFileEdit({ path, edit: renamed("short") });
    if (edit.method !== "patch") throw new Error("expected a patch");
    const { patch } = edit;
    await writeFile(`${path}.undo`, Buffer.concat([patch.before, patch.after]));
    const handle = await open(path, "r+");
    await handle.write(patch.after.subarray(0, written), 0, written, 0);
    await handle.close();
    return before;
  }

  it.each([0, 60, 100, 200])("is taken back when %i bytes were written", async (written) => {
    const before = await interrupt(written);
    await expect(planGgufFileEdit({ path, edit: renamed("again") })).rejects.toMatchObject({
      code: "GGUF_UNDO_PENDING",
      subject: { file: path },
    });
    await restoreGgufHeader({ path });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("is noticed through a link, and from any file of a set", async () => {
    await copyGguf(await planGgufFileSplit({ path, division: { maxTensors: 2 } }));
    const [first, second] = [1, 2].map((part) => join(folder, `m-0000${part}-of-00003.gguf`)) as [
      string,
      string,
    ];
    await writeFile(`${first}.undo`, "");
    await expect(planGgufFileEdit({ path: second, edit: renamed("x") })).rejects.toMatchObject({
      code: "GGUF_UNDO_PENDING",
    });
  });

  it("never gets into a file that is another one by now", async () => {
    await interrupt(100);
    await writeModel(join(folder, "other"), { tensors: modelTensors.slice(1) });
    await rename(join(folder, "other"), path);
    const other = await readFile(path);
    await expect(restoreGgufHeader({ path })).rejects.toMatchObject({ code: "GGUF_UNDO_MISMATCH" });
    expect(await readFile(path)).toEqual(other);
    await writeFile(path, "x");
    await expect(restoreGgufHeader({ path })).rejects.toMatchObject({ code: "GGUF_UNDO_MISMATCH" });
  });

  it("must be there", async () => {
    await expect(restoreGgufHeader({ path })).rejects.toMatchObject({ code: "GGUF_UNDO_MISSING" });
  });
});

describe("to another file", () => {
  const copy = (name: string): string => join(folder, name);

  it("leaves the file as it is, and keeps room if asked", async () => {
    const before = await readFile(path);
    const { data } = await contentOf(path);
    await editGguf(
      await planGgufFileEdit({ path, edit: renamed("new"), output: copy("n.gguf"), reserve: 1000 }),
    );
    expect(await readFile(path)).toEqual(before);
    expect(await contentOf(copy("n.gguf"))).toEqual({ name: ggufString("new"), data });
    const again = await planGgufFileEdit({ path: copy("n.gguf"), edit: renamed(longName) });
    expect(again.method).toBe("patch");
    await editGguf(again);
    expect(await contentOf(copy("n.gguf"))).toEqual({ name: ggufString(longName), data });
  });

  it("copies all files of a set under the new name", async () => {
    const { data } = await contentOf(path);
    await copyGguf(await planGgufFileSplit({ path, division: { maxTensors: 2 } }));
    const edit = await planGgufFileEdit({
      path: copy("m-00001-of-00003.gguf"),
      edit: renamed("new"),
      output: copy("n.gguf"),
    });
    await editGguf(edit);
    expect(await contentOf(copy("n-00001-of-00003.gguf"))).toEqual({ name: ggufString("new"), data });
    expect(await readFile(copy("n-00002-of-00003.gguf"))).toEqual(
      await readFile(copy("m-00002-of-00003.gguf")),
    );
  });

  it("refuses to write over the file itself, or another one unless forced", async () => {
    const params = { path, edit: renamed("new") };
    await expect(planGgufFileEdit({ ...params, output: path, force: true })).rejects.toMatchObject({
      code: "OUTPUT_IS_SOURCE",
    });
    await writeFile(copy("n.gguf"), "theirs");
    await expect(planGgufFileEdit({ ...params, output: copy("n.gguf") })).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
    });
    await editGguf(await planGgufFileEdit({ ...params, output: copy("n.gguf"), force: true }));
    expect((await contentOf(copy("n.gguf"))).name).toEqual(ggufString("new"));
  });
});
