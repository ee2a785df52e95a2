import { appendFile, mkdtemp, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkUnused } from "./check-journal.ts";
import type { ConversionIdentity } from "./identity.ts";
import { ConversionJournal } from "./journal.ts";
import { isWriting, thisOwner } from "./owner.ts";
import { readJournal } from "./read-journal.ts";
import type { TensorRecord } from "./records.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "journal-"));
  path = join(folder, "m.gguf.partial.journal");
});
afterEach(() => rm(folder, { recursive: true }));

const identity: ConversionIdentity = {
  tool: "quern 1.0.0",
  source: { name: "model", files: [] },
  outputs: [],
  measured: { all: false },
  digests: { tool: "1", source: "2", recipe: "3", importance: "4", rounding: "5", measured: "6" },
};

const records: TensorRecord[] = ["a", "b", "ü"].map((tensor, index) => {
  return { tensor, outputs: [0, index], crc32: String(index).repeat(8) };
});

async function write({ closed = true } = {}): Promise<ConversionJournal> {
  const journal = await ConversionJournal.begin(path, identity);
  for (const record of records) await journal.append(record);
  if (closed) await journal.close();
  return journal;
}

describe("a journal", () => {
  it("says what was noted", async () => {
    const journal = await write({ closed: false });
    const factors = { factors: { "blk.0.attn_norm": "AACAPw==" } };
    await journal.append(factors);
    await journal.close();
    const { size } = await stat(path);
    const finishing = new Set<number>();
    expect(await readJournal(path)).toEqual({
      path,
      identity,
      owner: undefined,
      tensors: records,
      factors: [factors],
      finishing,
      bytes: size,
    });
  });

  it("is read as far as its lines are whole, wherever it is torn, and gone on with from there", async () => {
    await write();
    const bytes = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), fc.uint8Array({ maxLength: 20 }), async (length, rubbish) => {
        await writeFile(path, bytes);
        await truncate(path, length);
        await appendFile(
          path,
          rubbish.filter((byte) => byte !== 0x0a),
        );
        const state = await readJournal(path);
        const noted = bytes.subarray(0, length).toString("utf8").split("\n").length - 1;
        expect(state === undefined).toBe(noted === 0);
        if (state === undefined) return;
        const tensors = records.slice(0, Math.max(0, noted - 2));
        expect(state).toMatchObject({ identity, tensors });
        const journal = await ConversionJournal.resume(state);
        await journal.append({ finishing: 1 });
        await journal.close();
        expect(await readJournal(path)).toMatchObject({ tensors, finishing: new Set([1]), owner: undefined });
      }),
      { numRuns: 40 },
    );
  });

  it("of something else has no identity", async () => {
    await writeFile(path, '{"format":"other"}\n');
    expect(await readJournal(path)).toMatchObject({ identity: undefined, tensors: [] });
    expect(await readJournal(join(folder, "none"))).toBeUndefined();
  });

  it("names who writes it, until it is closed", async () => {
    const journal = await write({ closed: false });
    const state = (await readJournal(path))!;
    expect(state.owner).toEqual(await thisOwner());
    await expect(checkUnused(state)).rejects.toMatchObject({
      code: "OUTPUT_IN_USE",
      subject: { file: path },
    });
    await journal.close();
    await checkUnused(state);
    await checkUnused((await readJournal(path))!);
  });

  it("is not removed where another one has taken its place", async () => {
    const journal = await write({ closed: false });
    await rename(path, `${path}.away`);
    await writeFile(path, "theirs");
    await expect(journal.settle()).rejects.toMatchObject({ code: "OUTPUT_REPLACED" });
    await journal.remove();
    expect(await readFile(path, "utf8")).toBe("theirs");
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
