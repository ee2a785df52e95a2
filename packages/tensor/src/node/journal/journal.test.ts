import {
  appendFile,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journal } from "./journal.ts";
import { differingParts, isCount, type JournalKind, type RunParts, runPartsOf } from "./kind.ts";
import { isWriting, thisOwner } from "./owner.ts";
import { checkUnused, journalPathOf, readJournal } from "./read-journal.ts";

interface Counted {
  readonly count: number;
  readonly what: string;
}

const KIND: JournalKind<RunParts, Counted> = {
  format: "tests-journal",
  version: 3,
  identityOf: runPartsOf,
  entryOf: ({ count, what }) => (isCount(count) && typeof what === "string" ? { count, what } : undefined),
};
const identity = { tool: "tests 1", recipe: "ü" };
const entries: Counted[] = ["a", "b", "ü"].map((what, count) => ({ count, what }));

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "journal-"));
  path = journalPathOf(join(folder, "m.gguf"));
});
afterEach(() => rm(folder, { recursive: true }));

async function begun(): Promise<Journal<Counted>> {
  const journal = await Journal.begin({ path, kind: KIND, identity });
  for (const entry of entries) await journal.append(entry);
  return journal;
}

describe("a journal", () => {
  it("lies beside the partial file, and says what was noted", async () => {
    const journal = await begun();
    expect(await readdir(folder)).toEqual(["m.gguf.partial.journal"]);
    expect(journal.bytes).toBe((await stat(path)).size);
    await journal.close();
    const { size: bytes } = await stat(path);
    expect(await readJournal(path, KIND)).toEqual({ path, identity, entries, owner: undefined, bytes });
  });

  it("is read as far as its lines are whole, wherever it is torn, and gone on with from there", async () => {
    await (await begun()).close();
    const bytes = await readFile(path);
    const more = { count: 7, what: "more" };
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), fc.uint8Array({ maxLength: 20 }), async (length, rubbish) => {
        await writeFile(path, bytes);
        await truncate(path, length);
        await appendFile(
          path,
          rubbish.filter((byte) => byte !== 0x0a),
        );
        const found = await readJournal(path, KIND);
        const noted = bytes.subarray(0, length).toString("utf8").split("\n").length - 1;
        expect(found === undefined).toBe(noted === 0);
        if (found === undefined) return;
        const kept = entries.slice(0, Math.max(0, noted - 2));
        expect(found).toMatchObject({ identity, entries: kept });
        const journal = await Journal.resume(found);
        await journal.append(more);
        await journal.close();
        expect(await readJournal(path, KIND)).toMatchObject({ entries: [...kept, more], owner: undefined });
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ["no JSON", "{", 3],
    ["no object", "[]", 3],
    ["of another kind", '{"count":-1,"what":"a"}', 3],
    ["not UTF-8", Uint8Array.of(0x22, 0xff, 0x22), 3],
  ])("is read up to a line that is %s", async (_what, line, number) => {
    const journal = await Journal.begin({ path, kind: KIND, identity });
    const { bytes } = journal;
    await journal.close();
    await truncate(path, bytes);
    for (const part of [line, '\n{"count":1,"what":"a"}\n']) await appendFile(path, part);
    expect(await readJournal(path, KIND)).toMatchObject({ entries: [], strangeLine: number, bytes });
  });

  it.each([
    ["of another format", { format: "other", version: 3, identity }],
    ["of another version", { format: KIND.format, version: 2, identity }],
    ["without an identity", { format: KIND.format, version: 3 }],
    ["with another identity", { format: KIND.format, version: 3, identity: { tool: 1 } }],
  ])("%s has none", async (_what, first) => {
    await writeFile(path, `${JSON.stringify(first)}\n`);
    expect(await readJournal(path, KIND)).toMatchObject({ identity: undefined, entries: [] });
    expect(await readJournal(join(folder, "none"), KIND)).toBeUndefined();
    expect(await readJournal(folder, KIND)).toBeUndefined();
  });

  it("names who writes it, until it is closed", async () => {
    const journal = await begun();
    const found = (await readJournal(path, KIND))!;
    expect(found.owner).toEqual(await thisOwner());
    const refusal = { code: "OUTPUT_IN_USE", subject: { file: path } };
    await expect(checkUnused(found)).rejects.toMatchObject(refusal);
    await journal.close();
    await checkUnused(found);
    await checkUnused((await readJournal(path, KIND))!);
  });

  it("takes the place of another one whole, with what it has from the beginning", async () => {
    await (await begun()).close();
    // What a run leaves that ends while it begins one.
    await writeFile(`${path}.partial`, "half");
    const first = { count: 5, what: "first" };
    const other = { tool: "tests 2" };
    const journal = await Journal.begin({ path, kind: KIND, identity: other, entries: [first] });
    expect(await readJournal(path, KIND)).toMatchObject({ identity: other, entries: [first] });
    await journal.close();
    await writeFile(`${path}.partial`, "half");
    await (await Journal.resume((await readJournal(path, KIND))!)).remove();
    expect(await readdir(folder)).toEqual([]);
  });

  it("is not removed where another one has taken its place", async () => {
    const journal = await begun();
    await rename(path, `${path}.away`);
    await writeFile(path, "theirs");
    await expect(journal.settle()).rejects.toMatchObject({ code: "OUTPUT_REPLACED" });
    await journal.remove();
    expect(await readFile(path, "utf8")).toBe("theirs");
  });
});

describe("runs", () => {
  it("differ in what one of them has otherwise, or not at all", () => {
    expect(differingParts({ a: "1", b: "2", c: "3" }, { d: "4", c: "x", a: "1" })).toEqual(["b", "c", "d"]);
    expect(differingParts(identity, { ...identity })).toEqual([]);
  });
});

describe("a process", () => {
  it("is told from one that had its number before", async () => {
    const { host } = await thisOwner();
    const pid = process.ppid;
    expect(await isWriting({ host, pid }, path)).toBe(true);
    const isTold = process.platform === "linux";
    expect(await isWriting({ host, pid, started: "1" }, path)).toBe(!isTold);
    expect(await isWriting({ host: `not-${host}`, pid }, path)).toBe(false);
    expect(await isWriting({ host, pid: 2 ** 22 + 1 }, path)).toBe(false);
  });
});
