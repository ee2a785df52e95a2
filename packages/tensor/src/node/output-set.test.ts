import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createOutputSet, type OutputSet } from "./output-set.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "output-set-"));
});
afterEach(() => rm(folder, { recursive: true }));

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const contentOf = (name: string): Promise<string> => readFile(join(folder, name), "utf8");

/** Files of 8 bytes that begin with their name. */
function createSet(names: readonly string[], replace = false): Promise<OutputSet> {
  return createOutputSet({
    files: names.map((name) => ({ path: join(folder, name), size: 8, header: text(name) })),
    replace,
  });
}

describe("a set of one file", () => {
  it("has its header, zeros and what is written, and gets its name at the end", async () => {
    const set = await createSet(["sub/a"]);
    await set.files[0]!.write(text("!"), 6);
    expect(await readdir(join(folder, "sub"))).toEqual(["a.partial"]);
    await set.finish();
    expect(await readdir(join(folder, "sub"))).toEqual(["a"]);
    expect(await contentOf("sub/a")).toBe("sub/a\0!\0");
  });

  it("leaves nothing behind when abandoned", async () => {
    await (await createSet(["a"])).abandon();
    expect(await readdir(folder)).toEqual([]);
  });

  it("does not replace a file that came in the meantime, unless told", async () => {
    const careful = await createSet(["a"]);
    await writeFile(join(folder, "a"), "theirs");
    await expect(careful.finish()).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
      subject: { file: join(folder, "a") },
    });
    await careful.abandon();
    expect(await readdir(folder)).toEqual(["a"]);
    expect(await contentOf("a")).toBe("theirs");

    await (await createSet(["a"], true)).finish();
    expect(await contentOf("a")).toBe("a\0\0\0\0\0\0\0");
  });

  it("starts afresh where a crashed run left its partial file", async () => {
    await writeFile(join(folder, "a.partial"), "left over from another time");
    await (await createSet(["a"])).finish();
    expect(await contentOf("a")).toBe("a\0\0\0\0\0\0\0");
  });

  it("never gives its name to the unfinished file of another run, nor removes that", async () => {
    const first = await createSet(["a"], true);
    const second = await createSet(["a"], true);
    await expect(first.finish()).rejects.toMatchObject({ code: "OUTPUT_REPLACED" });
    await first.abandon();
    await second.files[0]!.write(text("second"), 0);
    await second.finish();
    expect(await contentOf("a")).toBe("second\0\0");
  });
});

describe("a set of several files", () => {
  const names = ["1", "2", "3"];

  it("has no names before all files are complete", async () => {
    const set = await createSet(names);
    expect((await readdir(folder)).sort()).toEqual(["1.partial", "2.partial", "3.partial"]);
    await set.finish();
    expect((await readdir(folder)).sort()).toEqual(names);
  });

  it.each(names)("takes all names back when file %s is in the way", async (name) => {
    const set = await createSet(names);
    await writeFile(join(folder, name), "theirs");
    await expect(set.finish()).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    await set.abandon();
    expect(await readdir(folder)).toEqual([name]);
    expect(await contentOf(name)).toBe("theirs");
  });

  it("never leaves a mixture that can be read when it replaces a set and fails", async () => {
    await Promise.all(names.map((name) => writeFile(join(folder, name), "old")));
    const set = await createSet(names, true);
    await rm(join(folder, "3"));
    await mkdir(join(folder, "3", "in the way"), { recursive: true });
    await expect(set.finish()).rejects.toMatchObject({ code: "OUTPUT_WRITE_FAILED" });
    await set.abandon();
    expect((await readdir(folder)).sort()).toEqual(["3"]);
  });

  it("removes everything when one file cannot be made", async () => {
    await mkdir(join(folder, "2.partial", "in the way"), { recursive: true });
    await expect(createSet(names)).rejects.toMatchObject({ code: "OUTPUT_WRITE_FAILED" });
    expect(await readdir(folder)).toEqual(["2.partial"]);
  });
});
