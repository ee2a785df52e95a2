// Makes importance matrices: sums and counts in memory, and files of them.
import { fileURLToPath } from "node:url";
import type { ImportanceEntry, ImportanceFormat } from "../importance/importance-file.ts";
import type { MergedImportance } from "../importance/merge-importance.ts";
import { writeImportance } from "../importance/write-importance.ts";

/** Path of something in the set of importance matrices; fixtures/imatrix/README.md describes it. */
export function imatrixPath(name: string): string {
  return fileURLToPath(new URL(`../../../../fixtures/imatrix/${name}`, import.meta.url));
}

export interface SampleEntry {
  readonly sums: readonly number[];
  readonly counts: readonly number[];
}

/** Sums by tensor name. */
export function sampleImportance(
  entries: Readonly<Record<string, SampleEntry>>,
  more: Partial<MergedImportance> = {},
): MergedImportance {
  return {
    datasets: ["text.txt"],
    chunks: 7,
    chunkSize: 512,
    entries: Object.entries(entries).map(([name, { sums, counts }]): ImportanceEntry => ({
      name,
      length: sums.length,
      counts,
    })),
    readSums: async ({ name }) => Float32Array.from(entries[name]!.sums),
    ...more,
  };
}

/** Writes a file of sums by tensor name. */
export async function writeSample(
  path: string,
  entries: Readonly<Record<string, SampleEntry>>,
  format: ImportanceFormat = "gguf",
): Promise<string> {
  await writeImportance({ importance: sampleImportance(entries), path, format, force: true });
  return path;
}
