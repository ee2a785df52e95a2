import { access, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPartialFile, writeAt } from "./output-file.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "output-file-"));
  path = join(folder, "model.gguf");
});
afterEach(() => rm(folder, { recursive: true }));

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

describe("createPartialFile", () => {
  it("fills with zeros, and gives the name at the end", async () => {
    const file = await createPartialFile({ path, size: 8, replace: false });
    await file.write(text("abc"), 2);
    expect(await exists(path)).toBe(false);
    await file.finish();
    expect(await readFile(path)).toEqual(Buffer.from("\0\0abc\0\0\0"));
    expect(await exists(`${path}.partial`)).toBe(false);
  });

  it("leaves nothing behind when abandoned", async () => {
    const file = await createPartialFile({ path, size: 8, replace: false });
    await file.abandon();
    expect(await exists(path)).toBe(false);
    expect(await exists(`${path}.partial`)).toBe(false);
  });

  it("does not replace a file that came in the meantime, unless told", async () => {
    const careful = await createPartialFile({ path, size: 1, replace: false });
    await writeFile(path, "theirs");
    await expect(careful.finish()).rejects.toMatchObject({ code: "OUTPUT_EXISTS", subject: { file: path } });
    await careful.abandon();
    expect(await readFile(path, "utf8")).toBe("theirs");

    const forced = await createPartialFile({ path, size: 1, replace: true });
    await forced.write(text("x"), 0);
    await forced.finish();
    expect(await readFile(path, "utf8")).toBe("x");
  });

  it("starts afresh where a crashed run left its partial file", async () => {
    await writeFile(`${path}.partial`, "left over from another time");
    const file = await createPartialFile({ path, size: 2, replace: false });
    await file.finish();
    expect(await readFile(path)).toEqual(Buffer.alloc(2));
  });

  it("never gives its name to the unfinished file of another run", async () => {
    const first = await createPartialFile({ path, size: 4, replace: true });
    const second = await createPartialFile({ path, size: 4, replace: true });
    await expect(first.finish()).rejects.toMatchObject({ code: "OUTPUT_REPLACED" });
    await second.write(text("good"), 0);
    await second.finish();
    expect(await readFile(path, "utf8")).toBe("good");
  });
});

describe("writeAt", () => {
  it.skipIf(process.platform !== "linux")("says when the disk is full", async () => {
    const handle = await open("/dev/full", "w");
    try {
      const write = writeAt({ handle, path, bytes: text("x"), offset: 0 });
      await expect(write).rejects.toMatchObject({ code: "OUTPUT_DISK_FULL", subject: { file: path } });
    } finally {
      await handle.close();
    }
  });
});
