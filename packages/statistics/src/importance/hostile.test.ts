import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesSource, QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { writeSample } from "../testing/importance.ts";
import { examineImportance } from "./examine-importance.ts";
import { readGgufImportance } from "./gguf-reader.ts";
import type { ImportanceFormat } from "./importance-file.ts";
import { importanceStatistics } from "./importance-statistics.ts";
import { readLegacyImportance } from "./legacy-reader.ts";
import { mergeImportance } from "./merge-importance.ts";

/** A small valid file: a dense tensor, and three experts of which one saw nothing. */
async function smallFile(format: ImportanceFormat): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "hostile-"));
  const path = await writeSample(
    join(folder, "small"),
    { "blk.0.a.weight": { sums: [1, 2], counts: [3] }, b: { sums: [4, 5, 0], counts: [6, 7, 0] } },
    format,
  );
  const bytes = await readFile(path);
  await rm(folder, { recursive: true });
  return bytes;
}

const READERS = { gguf: readGgufImportance, dat: readLegacyImportance };

/** Everything that reads a file ends with a result, or with an error that says what is wrong. */
async function outcome(format: ImportanceFormat, bytes: Uint8Array): Promise<string> {
  try {
    const file = await READERS[format](bytesSource({ bytes, name: "bad" }));
    const faulty = (await examineImportance(file)).some(({ fault }) => fault !== undefined);
    await importanceStatistics(file);
    const merged = mergeImportance({ files: [file, file] });
    for (const entry of merged.entries) await merged.readSums(entry);
    return faulty ? "faulty" : "valid";
  } catch (error) {
    if (error instanceof QuernError && /^bad: |^the sums of /.test(error.message)) return error.code;
    throw error;
  }
}

describe.each<ImportanceFormat>(["gguf", "dat"])("a damaged file, %s", (format) => {
  it("with any byte changed is read or refused", async () => {
    const whole = await smallFile(format);
    const outcomes = new Set<string>();
    for (let offset = 0; offset < whole.length; offset++) {
      for (const flipped of [0xff, 0x80, 0x40, 0x01]) {
        const bytes = Uint8Array.from(whole);
        bytes[offset]! ^= flipped;
        outcomes.add(await outcome(format, bytes));
      }
    }
    for (const expected of ["valid", "faulty", "IMPORTANCE_INVALID"]) expect(outcomes).toContain(expected);
  });

  it("cut anywhere is read or refused", async () => {
    const whole = await smallFile(format);
    const outcomes: string[] = [];
    for (let length = 0; length < whole.length; length++) {
      outcomes.push(await outcome(format, whole.subarray(0, length)));
    }
    // The older layout may end before the chunks or the data set; in GGUF the last padding may be missing.
    expect(outcomes.filter((code) => code === "valid").length).toBe(format === "dat" ? 2 : 20);
    expect(outcomes).not.toContain("faulty");
    expect(await outcome(format, whole)).toBe("valid");
  });

  it("with numbers of any size is read or refused, without memory for them", async () => {
    const whole = await smallFile(format);
    const before = process.memoryUsage().arrayBuffers;
    for (let offset = 0; offset + 4 <= whole.length; offset++) {
      for (const fill of [0xff, 0x7f, 0x40, 0x00]) {
        for (const width of [1, 4, 8]) {
          const bytes = Uint8Array.from(whole);
          bytes.fill(fill, offset, Math.min(offset + width, whole.length));
          await outcome(format, bytes);
        }
      }
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 28);
  });
});
