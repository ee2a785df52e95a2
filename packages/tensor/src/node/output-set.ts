import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import {
  createPartialFile,
  type PartialFile,
  partialPathOf,
  reopenPartialFile,
  reopenPlacedFile,
  reportingAs,
  syncDirectory,
} from "./output-file.ts";
import { findOutputFile } from "./find-output-file.ts";

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
  /** Whether each file holds what an earlier run has written. */
  readonly kept: readonly boolean[];
  /** Whether all files bear their final names. */
  readonly isPlaced: boolean;
  /**
   * Makes sure that all files are on disk, then gives them their final names.
   *
   * The first file, without which no reader finds the others, is named last. When files of an earlier set are replaced, theirs
   * goes first: whatever happens in between, no mixture of two sets can be read.
   */
  finish(): Promise<void>;
  /** Closes and removes all files, those included that have their final names because `finish` failed half-way. */
  abandon(): Promise<void>;
  /**
   * Closes all files and leaves them, for a run that goes on with them; a set that has only some of its final names loses these.
   */
  close(): Promise<void>;
}

/**
 * Creates the files of a set under the names `<path>.partial`, each with its header and zeros behind it. Folders are made, and
 * partial files that a crashed run left behind are removed.
 *
 * @param params.replace Whether `finish` may replace files that are there.
 * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED`; `finish` also `OUTPUT_EXISTS` (a file came
 * in the meantime) and `OUTPUT_REPLACED` (another process took the partial file)
 */
export async function createOutputSet(params: OutputSetParams): Promise<OutputSet> {
  return openFiles(params, async (file) => ({ file: await createFile(file, params.replace), kept: false }));
}

/**
 * Opens the files of a set as an interrupted run left them: those that have their size and header are gone on with, others are created.
 *
 * @param params.mayBePlaced Whether the run had begun to give files their final names.
 * @throws QuernError as `createOutputSet`, and `SOURCE_*` when reading fails
 */
export async function resumeOutputSet(
  params: OutputSetParams & { readonly mayBePlaced: boolean },
): Promise<OutputSet> {
  const { replace, mayBePlaced } = params;
  return openFiles(params, async (file) => {
    const found = await findOutputFile({ ...file, mayBePlaced });
    if (found === undefined) return { file: await createFile(file, replace), kept: false };
    if (found === "partial") return { file: await reopenPartialFile({ ...file, replace }), kept: true };
    // A crash may have left both names.
    await reportingAs(file.path, () => rm(partialPathOf(file.path), { force: true }));
    return { file: await reopenPlacedFile({ ...file, replace }), kept: true };
  });
}

interface OutputSetParams {
  readonly files: readonly OutputSetFile[];
  readonly replace: boolean;
}

async function openFiles(
  params: OutputSetParams,
  openFile: (file: OutputSetFile) => Promise<{ readonly file: PartialFile; readonly kept: boolean }>,
): Promise<OutputSet> {
  const opened: { readonly file: PartialFile; readonly kept: boolean }[] = [];
  try {
    for (const file of params.files) opened.push(await openFile(file));
  } catch (error) {
    await Promise.all(opened.map(({ file, kept }) => (kept ? file.close() : file.abandon())));
    throw error;
  }
  const files = opened.map(({ file }) => file);
  return {
    files,
    kept: opened.map(({ kept }) => kept),
    get isPlaced() {
      return files.every((file) => file.isPlaced);
    },
    finish: () => finish(files, params.replace),
    abandon: async () => {
      await Promise.all(files.map((file) => file.abandon()));
    },
    close: async () => {
      if (!files.every((file) => file.isPlaced)) {
        await Promise.all(files.map((file) => file.displace()));
      }
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

async function createFile({ path, size, header }: OutputSetFile, replace: boolean): Promise<PartialFile> {
  await reportingAs(path, () => mkdir(dirname(path), { recursive: true }));
  const file = await createPartialFile({ path, size, replace });
  try {
    await file.write(header, 0);
  } catch (error) {
    await file.abandon();
    throw error;
  }
  return file;
}

async function finish(files: readonly PartialFile[], replace: boolean): Promise<void> {
  const [first, ...others] = files;
  if (first === undefined) return;
  for (const file of files) await file.settle();
  const folder = dirname(first.path);
  if (replace && others.length > 0 && !first.isPlaced) {
    await reportingAs(first.path, () => rm(first.path, { force: true }));
    await syncDirectory(folder);
  }
  for (const file of others) await file.place();
  await syncDirectory(folder);
  await first.place();
  await Promise.all(files.map((file) => file.close()));
  await syncDirectory(folder);
}
