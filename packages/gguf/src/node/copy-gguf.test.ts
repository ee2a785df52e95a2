import { execFileSync } from "node:child_process";
import {
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
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ggufUint16 } from "../index.ts";
import { planGgufSplits } from "../split/plan-splits.ts";
import { modelMetadata, modelTensors, writeModel } from "../testing/model-file.ts";
import { copyGguf, type GgufCopyEvent, openGgufSet, planGgufFileMerge, planGgufFileSplit } from "./index.ts";

let folder: string;
let whole: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "copy-gguf-"));
  whole = join(folder, "m.gguf");
  await writeModel(whole);
});
afterEach(() => rm(folder, { recursive: true }));

const division = { maxTensors: 2 };
const parts = [1, 2, 3].map((part) => `m-0000${part}-of-00003.gguf`);
const at = (name: string): string => join(folder, name);

/** Splits the model into three files, and removes it. */
async function makeSet(): Promise<void> {
  await copyGguf(await planGgufFileSplit({ path: whole, division }));
  await rm(whole);
}

/** Data of all tensors of a file or set. */
async function dataOf(path: string): Promise<Map<string, Uint8Array>> {
  const set = await openGgufSet({ path });
  const data = new Map<string, Uint8Array>();
  for (const name of set.tensors.keys()) data.set(name, await set.readTensor(name));
  await set.close();
  return data;
}

/** Mounts a file system of 8 KiB over a folder; only the superuser may, and not in every container. */
function mount(point: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8k", "tmpfs", point], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const canMount = await (async () => {
  const point = await mkdtemp(join(tmpdir(), "mount-"));
  const mounted = mount(point);
  if (mounted) execFileSync("umount", [point]);
  await rm(point, { recursive: true });
  return mounted;
})();

describe("splitting", () => {
  it("makes a set beside the file, whose tensors have the same data", async () => {
    const data = await dataOf(whole);
    const plan = await planGgufFileSplit({ path: whole, division });
    expect(await readdir(folder)).toEqual(["m.gguf"]);
    expect(plan).toMatchObject({ bytes: 548, warnings: [], force: false });
    expect(plan.files.map(({ path, tensors, replaces }) => [path, tensors, replaces])).toEqual(
      parts.map((name, index) => [at(name), [2, 2, 1][index], false]),
    );
    const events: GgufCopyEvent[] = [];
    const report = await copyGguf(plan, { onEvent: (event) => events.push(event) });
    expect((await readdir(folder)).sort()).toEqual([...parts, "m.gguf"]);
    expect(await dataOf(at(parts[1]!))).toEqual(data);
    expect(events[0]).toEqual({ type: "start", tensors: 5, bytes: 548, files: parts.map(at) });
    expect(events.filter(({ type }) => type === "progress").at(-1)).toMatchObject({ done: 548, total: 548 });
    expect(events.at(-1)).toEqual({ type: "output:done", files: parts.map(at), bytes: report.bytes });
    expect(report.files).toEqual(plan.files.map(({ path, fileSize: bytes }) => ({ path, bytes })));
  });

  it("copies tensors that take many reads", async () => {
    const large = at("large.gguf");
    await writeModel(large, { tensors: [{ name: "w", type: "F32", ne: [1024, 5000] }, ...modelTensors] });
    const data = await dataOf(large);
    const done: number[] = [];
    await copyGguf(await planGgufFileSplit({ path: large, division: { maxTensors: 1 } }), {
      onEvent: (event) => {
        if (event.type === "progress") done.push(event.done);
      },
    });
    expect(done).toHaveLength(3 + 5);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    const copy = await dataOf(at("large-00001-of-00006.gguf"));
    for (const [name, bytes] of data) expect(Buffer.compare(copy.get(name)!, bytes)).toBe(0);
  });

  it("divides a set anew, and warns of the old division", async () => {
    const data = await dataOf(whole);
    await makeSet();
    const plan = await planGgufFileSplit({ path: at(parts[2]!), division: { maxBytes: 100 } });
    expect(plan.warnings).toMatchObject([{ code: "OUTPUT_STRAY_SPLITS", subject: { file: parts[0] } }]);
    await copyGguf(plan);
    expect(await dataOf(plan.files[0]!.path)).toEqual(data);
  });

  it("puts files elsewhere, making folders", async () => {
    await copyGguf(await planGgufFileSplit({ path: whole, output: at("new/folder/x.gguf"), division }));
    expect((await readdir(at("new/folder"))).sort()).toEqual(parts.map((name) => name.replace("m-", "x-")));
  });

  it("refuses files that exist, unless forced, and never replaces what it reads", async () => {
    await writeFile(at(parts[1]!), "theirs");
    await expect(planGgufFileSplit({ path: whole, division })).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
      subject: { file: at(parts[1]!) },
    });
    await copyGguf(await planGgufFileSplit({ path: whole, division, force: true }));
    await symlink(at(parts[0]!), at("link-00001-of-00003.gguf"));
    await symlink(at(parts[1]!), at("link-00002-of-00003.gguf"));
    await symlink(at(parts[2]!), at("link-00003-of-00003.gguf"));
    const onto = planGgufFileSplit({
      path: at("link-00001-of-00003.gguf"),
      output: whole,
      division,
      force: true,
    });
    await expect(onto).rejects.toMatchObject({ code: "OUTPUT_IS_SOURCE" });
  });

  it("stops when asked, and leaves nothing", async () => {
    const plan = await planGgufFileSplit({ path: whole, division });
    const stop = new AbortController();
    const copying = copyGguf(plan, { signal: stop.signal, onEvent: () => stop.abort(new Error("enough")) });
    await expect(copying).rejects.toThrow("enough");
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it("notices that the file has changed since the plan", async () => {
    const plan = await planGgufFileSplit({ path: whole, division });
    await truncate(whole, 600);
    await expect(copyGguf(plan)).rejects.toMatchObject({ code: "SOURCE_CHANGED", subject: { file: whole } });
    expect(await readdir(folder)).toEqual(["m.gguf"]);
  });

  it.skipIf(!canMount)(
    "knows when a disk has no room, and leaves nothing on one that gets full",
    async () => {
      const disk = at("disk");
      await mkdir(disk);
      mount(disk);
      try {
        const large = at("large.gguf");
        await writeModel(large, { tensors: [{ name: "w", type: "F32", ne: [4096] }] });
        const planning = planGgufFileSplit({ path: large, output: join(disk, "m"), division });
        await expect(planning).rejects.toMatchObject({ code: "OUTPUT_NO_SPACE", subject: { file: disk } });
        const plan = await planGgufFileSplit({ path: whole, output: join(disk, "m"), division });
        await writeFile(join(disk, "other"), new Uint8Array(4096));
        await expect(copyGguf(plan)).rejects.toMatchObject({ code: "OUTPUT_DISK_FULL" });
        expect(await readdir(disk)).toEqual(["other"]);
      } finally {
        execFileSync("umount", [disk]);
      }
    },
  );
});

describe("merging", () => {
  it("gives back the file that was split, from any of its parts", async () => {
    const bytes = await readFile(whole);
    await makeSet();
    for (const part of parts) {
      const plan = await planGgufFileMerge({
        path: at(part),
        output: whole,
        dropSplitKeys: true,
        force: true,
      });
      await copyGguf(plan);
      expect(await readFile(whole)).toEqual(bytes);
    }
  });

  it.each(parts)("refuses to write over %s", async (part) => {
    await makeSet();
    const merging = planGgufFileMerge({ path: at(parts[0]!), output: at(part), force: true });
    await expect(merging).rejects.toMatchObject({ code: "OUTPUT_IS_SOURCE" });
    await expect(planGgufFileMerge({ path: at(parts[0]!), output: at(part) })).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
    });
  });

  const damage: ReadonlyArray<readonly [what: string, damage: () => Promise<void>, code: string]> = [
    ["a missing file", () => rm(at(parts[1]!)), "SOURCE_NOT_FOUND"],
    ["files in the wrong order", () => swap(parts[1]!, parts[2]!), "GGUF_SPLIT_INVALID"],
    ["a file cut short", () => truncate(at(parts[2]!), 100), "GGUF_TRUNCATED"],
    ["tensors cut short", () => truncate(at(parts[2]!), 300), "GGUF_TENSOR_OUTSIDE_FILE"],
    ["a count that names another number of files", () => rewrite(0, { count: 4 }), "GGUF_SPLIT_INVALID"],
    ["a second file of a set of another size", () => rewrite(1, { count: 4 }), "GGUF_SPLIT_INVALID"],
    ["a tensor twice", () => rewrite(1, { tensors: [0, 1] }), "GGUF_DUPLICATE_TENSOR"],
    ["a tensor too few", () => rewrite(2, { tensors: [] }), "GGUF_SPLIT_INVALID"],
    ["something else", () => writeFile(at(parts[1]!), "not a GGUF file at all"), "GGUF_NOT_GGUF"],
  ];

  async function swap(a: string, b: string): Promise<void> {
    await rename(at(a), at("x"));
    await rename(at(b), at(a));
    await rename(at("x"), at(b));
  }

  /** Writes a part as if it were of another set. */
  async function rewrite(
    index: number,
    change: { count?: number; tensors?: readonly number[] },
  ): Promise<void> {
    const [own, others] = planGgufSplits({
      metadata: index === 0 ? modelMetadata : new Map(),
      tensors: modelTensors,
      division,
    }).map(({ metadata }) => metadata) as [typeof modelMetadata, typeof modelMetadata];
    const metadata = new Map(index === 0 ? own : others).set("split.no", ggufUint16(index));
    if (change.count !== undefined) metadata.set("split.count", ggufUint16(change.count));
    const tensors = change.tensors ?? [2 * index, 2 * index + 1];
    await writeModel(at(parts[index]!), {
      metadata,
      tensors: tensors.map((tensor) => modelTensors[tensor]!),
    });
  }

  it.each(damage)("refuses %s", async (_what, harm, code) => {
    await makeSet();
    await harm();
    const merging = planGgufFileMerge({ path: at(parts[0]!), output: whole });
    await expect(merging).rejects.toMatchObject({ name: "QuernError", code });
    expect(await readdir(folder)).not.toContain("m.gguf");
  });

  it("refuses a file that is no part of a set", async () => {
    const merging = planGgufFileMerge({ path: whole, output: at("x.gguf") });
    await expect(merging).rejects.toMatchObject({ code: "GGUF_SPLIT_INVALID", subject: { file: whole } });
  });
});
