import { QuernError } from "@quern/tensor";
import type { ImportanceEntry, ImportanceFile } from "./importance-file.ts";

/** Tokens of a chunk unless `llama-imatrix` is told otherwise. */
const USUAL_CHUNK_SIZE = 512;

/** Sums of several files; those of a tensor are added when they are asked for. */
export interface MergedImportance {
  readonly datasets: readonly string[];
  readonly chunks: number;
  readonly chunkSize: number;
  /** In the order of names, as `llama-imatrix` writes them. */
  readonly entries: readonly ImportanceEntry[];
  /** @throws QuernError `IMPORTANCE_INVALID` for sums that are too large together, and what reading throws */
  readSums(entry: ImportanceEntry): Promise<Float32Array>;
}

/**
 * Adds the sums and the counts of importance matrices, as `llama-imatrix --in-file A --in-file B` does: in float, file by file in the
 * order given. Sums of the older layout are taken for those of `calls x chunkSize` inputs. The order matters in one case: a
 * single count for a tensor spreads to its experts when it comes first (llama.cpp v0.5.0: tools/imatrix/imatrix.cpp,
 * `load_imatrix`; it reads beyond the end where an entry of the older layout is longer than one before, which is refused here).
 *
 * @param params.chunkSize Tokens of a chunk. Default: that of the files, where they agree, else 512.
 * @throws QuernError `IMPORTANCE_MISMATCH` for files that are not of one model
 */
export function mergeImportance(params: {
  files: readonly ImportanceFile[];
  chunkSize?: number;
}): MergedImportance {
  const { files, chunkSize = commonChunkSize(files) } = params;
  const merged = new Map<string, { length: number; counts: number[] }>();
  for (const file of files) {
    for (const entry of file.entries.values()) {
      const counts = file.format === "dat" ? entry.counts.map((calls) => calls * chunkSize) : entry.counts;
      const before = merged.get(entry.name);
      if (before !== undefined && before.length !== entry.length) {
        throw mismatch(file, entry.name, `${entry.length} sums, and ${before.length} in those before`);
      }
      merged.set(entry.name, {
        length: entry.length,
        counts: before === undefined ? [...counts] : addCounts(file, entry.name, before.counts, counts),
      });
    }
  }
  const entries = [...merged].map(([name, entry]) => ({ name, ...entry })).sort(byName);
  const largest = entries.reduce((most, { counts }) => Math.max(most, ...counts), 0);
  return {
    datasets: files.flatMap(({ datasets }) => datasets),
    chunks: Math.floor(largest / chunkSize),
    chunkSize,
    entries,
    readSums: (entry) => addSums({ files, entry, chunkSize }),
  };
}

function commonChunkSize(files: readonly ImportanceFile[]): number {
  const sizes = new Set(files.map(({ chunkSize }) => chunkSize).filter((size) => size > 0));
  const [size = USUAL_CHUNK_SIZE] = sizes;
  return sizes.size === 1 ? size : USUAL_CHUNK_SIZE;
}

function addCounts(
  file: ImportanceFile,
  name: string,
  before: readonly number[],
  counts: readonly number[],
): number[] {
  if (before.length === counts.length) return before.map((count, index) => count + counts[index]!);
  if (file.format === "dat") return before.map((count) => count + counts[0]!);
  if (before.length === 1) return counts.map((count) => count + before[0]!);
  throw mismatch(file, name, `${counts.length} counts, and ${before.length} in those before`);
}

async function addSums(params: {
  files: readonly ImportanceFile[];
  entry: ImportanceEntry;
  chunkSize: number;
}): Promise<Float32Array> {
  const { files, entry, chunkSize } = params;
  const { name, length } = entry;
  const total = new Float32Array(length);
  for (const file of files) {
    if (!file.entries.has(name)) continue;
    const sums = await file.readSums(name);
    const factor = file.format === "dat" ? Math.fround(chunkSize) : 1;
    for (let index = 0; index < length; index++) {
      // Every operation rounds to float: storing rounds the sum.
      total[index] = total[index]! + Math.fround(sums[index]! * factor);
    }
  }
  const bad = total.findIndex((sum) => !Number.isFinite(sum));
  if (bad < 0) return total;
  throw new QuernError("IMPORTANCE_INVALID", `the sums of "${name}" are too large together`, {
    subject: { tensor: name, offset: bad },
  });
}

/** In the order of UTF-8 bytes, which is that of `std::string`. */
function byName(left: ImportanceEntry, right: ImportanceEntry): number {
  return Buffer.compare(Buffer.from(left.name), Buffer.from(right.name));
}

function mismatch(file: ImportanceFile, tensor: string, problem: string): QuernError {
  return new QuernError(
    "IMPORTANCE_MISMATCH",
    `${file.name}: "${tensor}" has ${problem}: are the files of one model?`,
    { subject: { file: file.name, tensor } },
  );
}
