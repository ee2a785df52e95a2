import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { QuernError } from "@quern/tensor";
import { partialPathOf, reportingAs, syncDirectory, writeAt } from "@quern/tensor/node";
import { replaceFolder } from "../set-aside.ts";

/** A folder while it is written: it is called `<folder>.partial`. */
export interface PartialFolder {
  /** Where a file is while the folder is written. */
  pathOf(name: string): string;
  /** Makes a file with a beginning and zeros behind it; of one of this size that was there, only the beginning is written. */
  create(file: { readonly name: string; readonly size: number; readonly header: Uint8Array }): Promise<void>;
  /** Writes a file whole. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Makes sure that everything is on disk, and gives the folder its name. */
  finish(): Promise<void>;
  /** Removes the folder. Does nothing after `finish`. */
  abandon(): Promise<void>;
}

/**
 * Begins a folder, or goes on with one.
 *
 * @param params.path Absolute.
 * @param params.replace Whether a folder of this name may be replaced.
 * @param params.keep Whether files stay that an earlier run has left behind; otherwise they are removed.
 * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED`; `finish` also `OUTPUT_EXISTS`
 */
export async function createPartialFolder(params: {
  readonly path: string;
  readonly replace: boolean;
  readonly keep: boolean;
}): Promise<PartialFolder> {
  const { path, replace, keep } = params;
  const partial = partialPathOf(path);
  const folders = new Set([partial]);
  const files = new Set<string>();
  let placed = false;
  await reportingAs(path, async () => {
    if (!keep) await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
  });
  const pathOf = (name: string): string => join(partial, name);
  const create: PartialFolder["create"] = async ({ name, size, header }) => {
    const file = pathOf(name);
    await reportingAs(file, async () => {
      await mkdir(dirname(file), { recursive: true });
      const handle = await openOrCreate(file);
      try {
        const there = await handle.stat();
        if (there.size !== size) await handle.truncate(0);
        await handle.truncate(size);
        await writeAt({ handle, path: file, bytes: header, offset: 0 });
      } finally {
        await handle.close();
      }
    });
    files.add(file);
    folders.add(dirname(file));
  };
  return {
    pathOf,
    create,
    write: (name, bytes) => create({ name, size: bytes.byteLength, header: bytes }),
    async finish() {
      for (const file of files) await reportingAs(file, () => syncFile(file));
      for (const folder of folders) await syncDirectory(folder);
      await reportingAs(path, () => (replace ? replaceFolder(partial, path) : placeFolder(partial, path)));
      placed = true;
      await syncDirectory(dirname(path));
    },
    async abandon() {
      if (!placed) await rm(partial, { recursive: true, force: true });
    },
  };
}

async function openOrCreate(path: string): Promise<FileHandle> {
  return open(path, "r+").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return open(path, "wx");
  });
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Fails where the name has been taken in the meantime, but by an empty folder. */
async function placeFolder(partial: string, path: string): Promise<void> {
  await rename(partial, path).catch((cause: NodeJS.ErrnoException) => {
    if (!TAKEN.has(cause.code)) throw cause;
    throw new QuernError("OUTPUT_EXISTS", `${path}: the folder exists already`, {
      subject: { file: path },
      cause,
    });
  });
}

const TAKEN: ReadonlySet<string | undefined> = new Set(["EEXIST", "ENOTEMPTY", "ENOTDIR"]);
