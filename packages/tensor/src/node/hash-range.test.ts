import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hashRange } from "./hash-range.ts";

const content = randomBytes(400_000);
let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hash-range-"));
  path = join(folder, "file");
  await writeFile(path, content);
});
afterAll(() => rm(folder, { recursive: true }));

async function hashOf(offset: number, size: number): Promise<string> {
  const handle = await open(path, "r");
  try {
    return await hashRange({ handle, path, offset, size });
  } finally {
    await handle.close();
  }
}

it("hashes any range", async () => {
  const lengths = fc.nat(content.length);
  await fc.assert(
    fc.asyncProperty(lengths, lengths, async (start, end) => {
      const range = content.subarray(Math.min(start, end), Math.max(start, end));
      const expected = createHash("sha256").update(range).digest("hex");
      expect(await hashOf(Math.min(start, end), range.length)).toBe(expected);
    }),
    { numRuns: 30 },
  );
});

it("says where a file ends too early", async () => {
  await expect(hashOf(399_990, 20)).rejects.toMatchObject({
    code: "SOURCE_TRUNCATED",
    subject: { file: path, offset: 400_000 },
  });
});

it.skipIf(process.platform !== "linux")("says that a device fails", async () => {
  // Memory that is not there: reading it is an input/output error.
  const handle = await open("/proc/self/mem", "r");
  const hash = hashRange({ handle, path: "model.gguf", offset: 0, size: 10 });
  await expect(hash).rejects.toMatchObject({
    code: "SOURCE_READ_FAILED",
    cause: expect.objectContaining({ code: "EIO" }),
  });
  await handle.close();
});
