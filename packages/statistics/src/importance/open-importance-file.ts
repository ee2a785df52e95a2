import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { readGgufImportance } from "./gguf-reader.ts";
import { readStatistics } from "../statistics-file/open-statistics.ts";
import type { ImportanceFile } from "./importance-file.ts";
import { readLegacyImportance } from "./legacy-reader.ts";
import { importanceOfStatistics } from "./statistics-view.ts";

/**
 * Opens a file of `llama-imatrix`, GGUF or the older layout, or a statistics file: its entries, not yet their sums.
 *
 * @param params.name What messages call the file; the path unless given.
 * @throws QuernError `IMPORTANCE_INVALID`; what `fileSource`, `readGguf` and `openStatistics` throw
 */
export async function openImportanceFile(params: { path: string; name?: string }): Promise<ImportanceFile> {
  const source = await reopeningSource(params);
  const start = await source.read(0, Math.min(source.size, 9));
  if (new TextDecoder("latin1").decode(start).startsWith("GGUF")) return readGgufImportance(source);
  return isSafetensors(start)
    ? importanceOfStatistics(await readStatistics(source))
    : readLegacyImportance(source);
}

/**
 * Whether a file begins as safetensors do: with a length of eight bytes and "{". In the older layout of importance matrices the upper
 * half of that length is that of a name, which is never empty.
 */
function isSafetensors(start: Uint8Array): boolean {
  return start[8] === 0x7b && start.subarray(4, 8).every((byte) => byte === 0);
}

/** A file that is open only while it is read: there are few reads, and between them nothing that would have to be closed. */
async function reopeningSource(params: { path: string; name?: string }): Promise<ByteSource> {
  const { name = params.path } = params;
  const { size, close } = await fileSource(params);
  await close();
  return {
    name,
    size,
    async read(offset, length, into) {
      const source = await fileSource(params);
      try {
        if (source.size === size) return await source.read(offset, length, into);
        throw new QuernError(
          "IMPORTANCE_CHANGED",
          `${name}: ${source.size} bytes, but there were ${size} when it was read first`,
          { subject: { file: name } },
        );
      } finally {
        await source.close();
      }
    },
    async close() {},
  };
}
