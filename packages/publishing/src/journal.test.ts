import { appendFile, copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublicationJournal } from "./journal.ts";

const ID = "mill/Tiny-GGUF";
const NAME = "mill--Tiny-GGUF.publication.jsonl";
const FILE = { path: "a/b.gguf", bytes: 3, sha256: "0".repeat(64) };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "publication-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A journal of which everything is noted. */
async function written(): Promise<PublicationJournal> {
  const journal = await PublicationJournal.open(folder, ID);
  expect(await readdir(folder)).toEqual([]);
  await journal.begin("Q8_0", "first", [join(folder, "old.gguf")]);
  await journal.made("Q8_0", { figures: { weightError: 0.5 } });
  await journal.hashed("Q8_0", [FILE]);
  await journal.openingPullRequest();
  await journal.openedPullRequest({ url: "https://hub/1", branch: "refs/pr/1" });
  await journal.committed("Q8_0", "c0");
  return journal;
}

/** What a later run would read, were this one killed now. */
async function killedNow(): Promise<PublicationJournal> {
  const other = await mkdtemp(join(folder, "killed-"));
  await copyFile(join(folder, NAME), join(other, NAME));
  const journal = await PublicationJournal.open(other, ID);
  await rm(other, { recursive: true });
  return journal;
}

const text = (): Promise<string> => readFile(join(folder, NAME), "utf8");

describe("a journal of a publication", () => {
  it("says after each line what was noted, and goes on after it was closed", async () => {
    const journal = await written();
    const item = { identity: "first", targets: ["old.gguf"], made: { figures: { weightError: 0.5 } } };
    const noted = { ...item, files: [FILE], commit: "c0" };
    for (const read of [journal, await killedNow()]) {
      expect(read.item("Q8_0")).toEqual(noted);
      expect(read.pullRequest).toEqual({ url: "https://hub/1", branch: "refs/pr/1" });
      expect(read.pullRequestMark).toMatch(/^publication [0-9a-f]{16}$/);
      expect([read.owns(join(folder, "old.gguf")), read.owns("new.gguf")]).toEqual([true, false]);
    }
    await expect(PublicationJournal.open(folder, ID)).rejects.toMatchObject({ code: "OUTPUT_IN_USE" });
    await journal.close();
    await Promise.all([journal.begin("Q2_K", "second", ["q2"]), journal.committed("Q8_0", "c1")]);
    await journal.close();
    const next = await PublicationJournal.open(folder, ID);
    expect(next.item("Q2_K")).toEqual({ identity: "second", targets: ["q2"] });
    expect(next.item("Q8_0")).toEqual({ ...noted, commit: "c1" });
    expect(await readdir(folder)).toEqual([NAME]);
  });

  it("that is begun anew knows at every moment which names are ours", async () => {
    await (await written()).close();
    const before = await text();
    const journal = await PublicationJournal.open(folder, ID, { restart: true });
    expect([journal.item("Q8_0"), journal.pullRequest, journal.pullRequestMark]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(journal.owns("old.gguf")).toBe(true);
    // Until there is something to note, it is the one that was there.
    expect(await text()).toBe(before);
    await journal.begin("Q2_K", "second", ["new.gguf"]);
    const next = await killedNow();
    expect([next.owns("old.gguf"), next.owns("new.gguf")]).toEqual([true, true]);
    expect(next.item("Q8_0")).toBeUndefined();
    await journal.close();
    const third = await PublicationJournal.open(folder, ID, { restart: true });
    await third.begin("Q2_K", "third", []);
    expect((await killedNow()).owns("new.gguf")).toBe(true);
    await third.close();
  });

  it.each([
    ["no JSON", "nothing"],
    ["no object", "null"],
    ["of a kind that is none", { kind: "toString" }],
    ["about an item that has not begun", { kind: "committed", item: "Q4_0", commit: "c" }],
    ["a name with a folder", { kind: "given-up", targets: ["../old.gguf"] }],
    ["names that are none", { kind: "given-up", targets: "old.gguf" }],
    ["a file outside the folder", { kind: "hashed", item: "Q8_0", files: [{ ...FILE, path: "a/../../b" }] }],
    ["a file with an absolute path", { kind: "hashed", item: "Q8_0", files: [{ ...FILE, path: "/etc/b" }] }],
    ["a file of no size", { kind: "hashed", item: "Q8_0", files: [{ ...FILE, bytes: -1 }] }],
    ["figures that are none", { kind: "made", item: "Q8_0", made: { figures: 1 } }],
    ["a commit that is none", { kind: "committed", item: "Q8_0", commit: {} }],
  ])(
    "with a line that is %s is refused, and its names are not forgotten when it is begun anew",
    async (_, line) => {
      await (await written()).close();
      await appendFile(join(folder, NAME), `${typeof line === "string" ? line : JSON.stringify(line)}\n`);
      await expect(PublicationJournal.open(folder, ID)).rejects.toMatchObject({
        code: "PUBLISH_JOURNAL_INVALID",
        subject: { file: join(folder, NAME) },
      });
      const anew = await PublicationJournal.open(folder, ID, { restart: true });
      expect(anew.owns("old.gguf")).toBe(true);
    },
  );

  it("of another repository or program is refused, unless it is begun anew", async () => {
    await (await written()).close();
    for (const other of [(await text()).replace(ID, "mill/Other"), '{"kind":"publication"}\n']) {
      await writeFile(join(folder, NAME), other);
      await expect(PublicationJournal.open(folder, ID)).rejects.toMatchObject({
        code: "PUBLISH_JOURNAL_INVALID",
      });
      const anew = await PublicationJournal.open(folder, ID, { restart: true });
      expect(anew.owns("old.gguf")).toBe(false);
    }
  });
});
