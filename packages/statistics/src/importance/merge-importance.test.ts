import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imatrixPath, sampleImportance, type SampleEntry, writeSample } from "../testing/importance.ts";
import type { ImportanceFormat } from "./importance-file.ts";
import { mergeImportance } from "./merge-importance.ts";
import { openImportanceFile } from "./open-importance-file.ts";
import { writeImportance } from "./write-importance.ts";

interface MergedFile {
  readonly command: string;
  readonly files: readonly string[];
  readonly chunkSize: number;
  readonly format: ImportanceFormat;
  readonly size: number;
  readonly sha256: string;
}

const merged = JSON.parse(await readFile(imatrixPath("merged.json"), "utf8")) as MergedFile[];

let folder: string;
let output: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "merge-"));
  output = join(folder, "merged");
});
afterAll(() => rm(folder, { recursive: true }));

async function open(names: readonly string[]) {
  return Promise.all(names.map((name) => openImportanceFile({ path: imatrixPath(name), name })));
}

describe("files of llama-imatrix", () => {
  it("are many", () => {
    expect(merged.length).toBe(16);
    expect(new Set(merged.map(({ sha256 }) => sha256)).size).toBeGreaterThan(13);
  });

  it.each(merged)("$command", async ({ files, chunkSize, format, size, sha256 }) => {
    const importance = mergeImportance({ files: await open(files), chunkSize });
    const written = await writeImportance({ importance, path: output, format, force: true });
    const bytes = await readFile(output);
    expect(written.bytes).toBe(bytes.byteLength);
    expect(bytes.byteLength).toBe(size);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
  });
});

describe("mergeImportance", () => {
  it("takes the size of a chunk from the files, where they agree", async () => {
    const sizeOf = async (...names: string[]) => mergeImportance({ files: await open(names) }).chunkSize;
    expect(await sizeOf("wide.gguf", "c.dat")).toBe(4096);
    expect(await sizeOf("wide.gguf", "a.gguf")).toBe(512);
    expect(await sizeOf("c.dat")).toBe(512);
  });

  it("joins data sets, and counts chunks by the tensor that saw most", async () => {
    const importance = mergeImportance({ files: await open(["a.gguf", "b.gguf"]) });
    expect(importance.datasets).toEqual(["wiki.txt", "code.txt", "été.txt"]);
    expect(importance.chunks).toBe(7);
  });

  it("refuses files of different models", async () => {
    const experts = { "a.weight": { sums: [1, 2, 3, 4], counts: [1, 1] } };
    const path = await writeSample(join(folder, "experts.gguf"), experts);
    const dense = await writeSample(join(folder, "dense.gguf"), {
      "a.weight": { sums: [1, 2], counts: [2] },
    });
    const single = await writeSample(join(folder, "single.gguf"), {
      "a.weight": { sums: [1, 2, 3, 4], counts: [2] },
    });
    const files = async (...paths: string[]) =>
      Promise.all(paths.map((path) => openImportanceFile({ path })));
    const mismatch = expect.objectContaining({
      code: "IMPORTANCE_MISMATCH",
      subject: expect.objectContaining({ tensor: "a.weight" }),
    });
    const both = await files(path, dense);
    expect(() => mergeImportance({ files: both })).toThrow(mismatch);
    // A single count spreads to the experts only when it comes first.
    const [withCounts, withOne] = await files(path, single);
    expect(() => mergeImportance({ files: [withCounts!, withOne!] })).toThrow(mismatch);
    const spread = mergeImportance({ files: [withOne!, withCounts!] });
    expect(spread.entries).toEqual([{ name: "a.weight", length: 4, counts: [3, 3] }]);
  });

  it("refuses sums that become infinite, and leaves nothing", async () => {
    const large = { "a.weight": { sums: [3e38], counts: [1] } };
    const file = await openImportanceFile({ path: await writeSample(join(folder, "large.gguf"), large) });
    const importance = mergeImportance({ files: [file, file] });
    const path = join(folder, "infinite.gguf");
    await expect(writeImportance({ importance, path, format: "gguf" })).rejects.toMatchObject({
      code: "IMPORTANCE_INVALID",
      subject: { tensor: "a.weight", offset: 0 },
    });
    expect((await readdir(folder)).filter((name) => name.startsWith("infinite"))).toEqual([]);
  });
});

describe("writeImportance", () => {
  const sample = { "a.weight": { sums: [1], counts: [1] } };

  it("replaces nothing unless it may", async () => {
    const path = join(folder, "there.gguf");
    const write = (force: boolean) =>
      writeImportance({ importance: sampleImportance(sample), path, format: "gguf", force });
    await write(false);
    await expect(write(false)).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    await write(true);
  });

  it("refuses what a layout cannot hold", async () => {
    const path = join(folder, "unwritable");
    const long = sampleImportance({ ["x".repeat(60)]: { sums: [1], counts: [1] } });
    await expect(writeImportance({ importance: long, path, format: "gguf" })).rejects.toMatchObject({
      code: "GGUF_TENSOR_NAME_INVALID",
    });
    const many = sampleImportance(sample, { chunks: 2 ** 31 });
    await expect(writeImportance({ importance: many, path, format: "dat" })).rejects.toMatchObject({
      code: "IMPORTANCE_TOO_LARGE",
    });
  });

  const entry: fc.Arbitrary<SampleEntry> = fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.array(fc.nat(5000), { minLength: 1, maxLength: 5 }))
    .chain(([columns, counts]) =>
      fc.record({
        counts: fc.constant(counts),
        sums: fc.array(fc.float({ min: 0, max: 1e6, noNaN: true }), {
          minLength: columns * counts.length,
          maxLength: columns * counts.length,
        }),
      }),
    );
  const matrix = fc.dictionary(fc.stringMatching(/^blk\.\d\.[a-z_]{1,20}\.weight$/), entry, {
    minKeys: 1,
    maxKeys: 6,
  });

  it("writes GGUF that reads as it was", async () => {
    await fc.assert(
      fc.asyncProperty(matrix, async (entries) => {
        const file = await openImportanceFile({ path: await writeSample(output, entries) });
        expect(file).toMatchObject({ datasets: ["text.txt"], chunks: 7, chunkSize: 512 });
        expect([...file.entries.keys()]).toEqual(Object.keys(entries));
        for (const [name, { sums, counts }] of Object.entries(entries)) {
          expect(file.entries.get(name)).toEqual({ name, length: sums.length, counts });
          expect([...(await file.readSums(name))]).toEqual(sums.map((sum) => Math.fround(sum)));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("writes the older layout so that the same weights come out, nearly", async () => {
    await fc.assert(
      fc.asyncProperty(matrix, async (entries) => {
        const file = await openImportanceFile({ path: await writeSample(output, entries, "dat") }).catch(
          () => undefined,
        );
        const seen = Object.entries(entries).filter(([, { counts }]) => counts.some((count) => count > 0));
        expect([...(file?.entries.keys() ?? [])]).toEqual(seen.map(([name]) => name));
        for (const [name, { sums, counts }] of seen) {
          const [calls] = file!.entries.get(name)!.counts;
          const columns = sums.length / counts.length;
          const means = sums.map((sum, index) => {
            const count = counts[Math.floor(index / columns)]!;
            return count === 0 ? 1 : sum / count;
          });
          for (const [index, value] of (await file!.readSums(name)).entries()) {
            expect(Math.abs(value / calls! - means[index]!)).toBeLessThanOrEqual(
              1e-6 * means[index]! + 1e-40,
            );
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
