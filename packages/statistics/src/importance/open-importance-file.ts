import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { readGgufImportance } from "./gguf-reader.ts";
import type { ImportanceFile } from "./importance-file.ts";
import { readLegacyImportance } from "./legacy-reader.ts";

/**
 * Opens a file of `llama-imatrix`, GGUF or the older layout: its entries, not yet their sums.
 *
 * @param params.name What messages call the file; the path unless given.
 * @throws QuernError `IMPORTANCE_INVALID`; what `fileSource` and `readGguf` throw
 */
export async function openImportanceFile(params: { path: string; name?: string }): Promise<ImportanceFile> {
  const source = await reopeningSource(params);
  const isGguf = source.size >= 4 && new TextDecoder("latin1").decode(await source.read(0, 4)) === "GGUF";
  return isGguf ? readGgufImportance(source) : readLegacyImportance(source);
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
