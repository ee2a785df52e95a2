import { createOutputSet } from "@quern/tensor/node";
import type { ImportanceFormat } from "./importance-file.ts";
import { layOutGguf } from "./gguf-writer.ts";
import { layOutLegacy } from "./legacy-writer.ts";
import type { ImportanceLayout } from "./importance-layout.ts";
import type { MergedImportance } from "./merge-importance.ts";

const LAYOUTS: Readonly<Record<ImportanceFormat, (importance: MergedImportance) => ImportanceLayout>> = {
  gguf: layOutGguf,
  dat: layOutLegacy,
};

/** What was written. */
export interface WrittenImportance {
  readonly path: string;
  readonly bytes: number;
  readonly entries: number;
}

/**
 * Writes an importance matrix, byte for byte as `llama-imatrix` does. One tensor at a time is in memory. The file is called
 * `<path>.partial` until it is complete and on disk.
 *
 * @param params.force Replace a file that is there. Default: refuse.
 * @throws QuernError `OUTPUT_EXISTS`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`; `GGUF_TENSOR_NAME_INVALID` for
 * names that the format cannot hold; `IMPORTANCE_TOO_LARGE` for numbers that the older layout cannot hold; what reading throws
 */
export async function writeImportance(params: {
  importance: MergedImportance;
  path: string;
  format: ImportanceFormat;
  force?: boolean;
}): Promise<WrittenImportance> {
  const { importance, path, format, force = false } = params;
  const { header, parts, fileSize, entries } = LAYOUTS[format](importance);
  const set = await createOutputSet({ files: [{ path, size: fileSize, header }], replace: force });
  try {
    for await (const { offset, bytes } of parts()) await set.files[0]!.write(bytes, offset);
    await set.finish();
  } catch (error) {
    await set.abandon();
    throw error;
  }
  return { path, bytes: fileSize, entries };
}
