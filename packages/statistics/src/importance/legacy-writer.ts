import { QuernError } from "@quern/tensor";
import { encodeFloats, type ImportanceEntry } from "./importance-file.ts";
import type { MergedImportance } from "./merge-importance.ts";
import type { ImportanceLayout } from "./importance-layout.ts";

/**
 * As `save_imatrix_legacy` writes it (llama.cpp v0.5.0: tools/imatrix/imatrix.cpp): tensors without any input are left out, the
 * weights of single experts without are 1, and of the calibration texts the last is kept.
 *
 * @throws QuernError `IMPORTANCE_TOO_LARGE` for numbers beyond int32
 */
export function layOutLegacy(importance: MergedImportance): ImportanceLayout {
  const { datasets, chunks, chunkSize } = importance;
  const entries = importance.entries.filter(({ counts }) => counts.some((count) => count > 0));
  const heads = entries.map((entry) => headOf(entry, chunkSize));
  const dataset = encoder.encode(datasets.at(-1) ?? "");
  const header = int32(entries.length);
  const end = join([int32(chunks), int32(dataset.byteLength), dataset]);
  const sizes = entries.map(({ length }, index) => heads[index]!.byteLength + length * 4);
  return {
    fileSize: header.byteLength + sizes.reduce((sum, size) => sum + size, 0) + end.byteLength,
    entries: entries.length,
    header,
    async *parts() {
      let offset = header.byteLength;
      const place = (bytes: Uint8Array): { offset: number; bytes: Uint8Array } => {
        offset += bytes.byteLength;
        return { offset: offset - bytes.byteLength, bytes };
      };
      for (const [index, entry] of entries.entries()) {
        yield place(heads[index]!);
        const sums = await importance.readSums(entry);
        yield place(encodeFloats(toCallMeans(sums, entry, callsOf(entry, chunkSize))));
      }
      yield place(end);
    },
  };
}

const encoder = new TextEncoder();

function headOf(entry: ImportanceEntry, chunkSize: number): Uint8Array {
  const name = encoder.encode(entry.name);
  return join([int32(name.byteLength), name, int32(callsOf(entry, chunkSize)), int32(entry.length)]);
}

/** Chunks that the inputs make, the last one perhaps not full. */
function callsOf({ counts }: ImportanceEntry, chunkSize: number): number {
  return Math.floor((counts.reduce((most, count) => Math.max(most, count)) + chunkSize - 1) / chunkSize);
}

/** Means times calls, in place; every operation rounds to float. */
function toCallMeans(sums: Float32Array, { length, counts }: ImportanceEntry, calls: number): Float32Array {
  const columns = length / counts.length;
  const factor = Math.fround(calls);
  for (let index = 0; index < length; index++) {
    const count = Math.fround(counts[Math.floor(index / columns)]!);
    sums[index] = (count === 0 ? 1 : Math.fround(sums[index]! / count)) * factor;
  }
  return sums;
}

function int32(value: number): Uint8Array {
  if (value > 2 ** 31 - 1) {
    throw new QuernError(
      "IMPORTANCE_TOO_LARGE",
      `the older layout cannot hold ${value}: expected at most ${2 ** 31 - 1}. Write GGUF instead.`,
    );
  }
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}
