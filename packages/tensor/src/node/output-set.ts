import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { createPartialFile, type PartialFile, reportingAs, syncDirectory } from "./output-file.ts";

/** A file to write. */
export interface OutputSetFile {
  /** Final path. */
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** The beginning of the file. */
  readonly header: Uint8Array;
}

/** Files that belong together, while they are written: an output has one file, or several that mean nothing alone. */
export interface OutputSet {
  /** In the order given. */
  readonly files: readonly PartialFile[];
  /**
   * Makes sure that all files are on disk, then gives them their final names.
   *
   * The first file, without which no reader finds the others, is named last. When files of an earlier set are replaced, theirs
   * goes first: whatever happens in between, no mixture of two sets can be read.
   */
  finish(): Promise<void>;
  /** Closes and removes all files, those included that have their final names because `finish` failed half-way. */
  abandon(): Promise<void>;
}

/**
 * Creates the files of a set under the names `<path>.partial`, each with its header and zeros behind it. Folders are made, and
 * partial files that a crashed run left behind are removed.
 *
 * @param params.replace Whether `finish` may replace files that are there.
 * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED`; `finish` also `OUTPUT_EXISTS` (a file came
 * in the meantime) and `OUTPUT_REPLACED` (another process took the partial file)
 */
export async function createOutputSet(params: {
  files: readonly OutputSetFile[];
  replace: boolean;
}): Promise<OutputSet> {
  const { replace } = params;
  const files: PartialFile[] = [];
  const abandon = async (): Promise<void> => {
    await Promise.all(files.map((file) => file.abandon()));
  };
  try {
    for (const { path, size, header } of params.files) {
      await reportingAs(path, () => mkdir(dirname(path), { recursive: true }));
      const file = await createPartialFile({ path, size, replace });
      files.push(file);
      await file.write(header, 0);
    }
  } catch (error) {
    await abandon();
    throw error;
  }
  return { files, finish: () => finish(files, replace), abandon };
}

async function finish(files: readonly PartialFile[], replace: boolean): Promise<void> {
  const [first, ...others] = files;
  if (first === undefined) return;
  for (const file of files) await file.settle();
  const folder = dirname(first.path);
  if (replace && others.length > 0) {
    await reportingAs(first.path, () => rm(first.path, { force: true }));
    await syncDirectory(folder);
  }
  for (const file of others) await file.place();
  await syncDirectory(folder);
  await first.place();
  await Promise.all(files.map((file) => file.close()));
  await syncDirectory(folder);
}
