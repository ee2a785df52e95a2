import { link, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkOutputPlaces } from "./output-place.ts";
import { createOutputSet, type OutputSet, resumeOutputSet } from "./output-set.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "resume-output-set-"));
});
afterEach(() => rm(folder, { recursive: true }));

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const at = (name: string): string => join(folder, name);
const names = ["1", "2", "3"];

const filesOf = (): { path: string; size: number; header: Uint8Array }[] =>
  names.map((name) => ({ path: at(name), size: 8, header: text(`h${name}`) }));

const resume = (mayBePlaced = false, replace = false): Promise<OutputSet> =>
  resumeOutputSet({ files: filesOf(), replace, mayBePlaced });

/** A set that was interrupted, each file with a word in it. */
async function interrupted(): Promise<void> {
  const set = await createOutputSet({ files: filesOf(), replace: false });
  for (const [index, file] of set.files.entries()) await file.write(text(`w${index}`), 4);
  await set.close();
}

async function contents(): Promise<Record<string, string>> {
  const found = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(found.map(async (name) => [name, await readFile(at(name), "utf8")])),
  );
}

const whole = { "1": "h1\0\0w0\0\0", "2": "h2\0\0w1\0\0", "3": "h3\0\0w2\0\0" };

describe("a set that is gone on with", () => {
  it("has what was written", async () => {
    await interrupted();
    const set = await resume();
    expect(set).toMatchObject({ kept: [true, true, true], isPlaced: false });
    await set.finish();
    expect(await contents()).toEqual(whole);
  });

  it.each([
    ["gone", () => rm(at("2.partial"))],
    ["of another size", () => truncate(at("2.partial"), 7)],
    ["another one", () => writeFile(at("2.partial"), "x2345678")],
  ])("has a new file where one is %s", async (_what, damage) => {
    await interrupted();
    await damage();
    const set = await resume(true);
    expect(set.kept).toEqual([true, false, true]);
    await set.finish();
    expect(await contents()).toEqual({ ...whole, "2": "h2\0\0\0\0\0\0" });
  });

  it("knows files that have their names, and those that have both", async () => {
    await interrupted();
    await rename(at("2.partial"), at("2"));
    await link(at("3.partial"), at("3"));
    const set = await resume(true);
    expect(set).toMatchObject({ kept: [true, true, true], isPlaced: false });
    expect(set.files.map(({ isPlaced }) => isPlaced)).toEqual([false, true, true]);
    expect(await readdir(folder)).not.toContain("3.partial");
    await set.finish();
    expect(set.isPlaced).toBe(true);
    expect(await contents()).toEqual(whole);
  });

  it("takes no other file for its own, unless it had begun to give names", async () => {
    await interrupted();
    await rename(at("2.partial"), at("2"));
    const set = await resume();
    expect(set.kept).toEqual([true, false, true]);
    await expect(set.finish()).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    await set.close();
    expect(await readFile(at("2"), "utf8")).toBe(whole["2"]);
  });

  it("takes back the names of a set that cannot be finished, and keeps its files", async () => {
    await interrupted();
    const set = await resume();
    await writeFile(at("1"), "theirs");
    await expect(set.finish()).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    await set.close();
    expect((await readdir(folder)).sort()).toEqual(["1", "1.partial", "2.partial", "3.partial"]);
    const forced = await resume(true, true);
    expect(forced.kept).toEqual([true, true, true]);
    await forced.finish();
    expect(await contents()).toEqual(whole);
  });

  it("can be finished when it is", async () => {
    await interrupted();
    await (await resume()).finish();
    const set = await resume(true);
    expect(set).toMatchObject({ kept: [true, true, true], isPlaced: true });
    await set.finish();
    expect(await contents()).toEqual(whole);
  });
});

describe("room on the disk", () => {
  const places = (fileSize: number, isFinished = false) =>
    checkOutputPlaces({ places: [{ path: at("a"), fileSize, isFinished }], sources: [], force: false });

  it("is wanted only for what partial files have not", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    await expect(places(most)).rejects.toMatchObject({ code: "OUTPUT_NO_SPACE" });
    await writeFile(at("a.partial"), Buffer.alloc(2 ** 20, 1));
    const taken = (await stat(at("a.partial"))).blocks * 512;
    expect(taken).toBeGreaterThan(0);
    await expect(places(most)).rejects.toMatchObject({
      message: expect.stringContaining(`the outputs take ${most - taken} bytes more`),
    });
    await expect(places(most, true)).resolves.toEqual([false]);
  });
});
