import { type FileHandle, link, open, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "@quern/tensor";

/** An output while it is written: a file of the final size called `<path>.partial`. */
export interface PartialFile {
  /** Final path. */
  readonly path: string;
  readonly size: number;
  /** Writes all bytes at an absolute offset. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Makes sure that everything is on disk and gives the file its final name. */
  finish(): Promise<void>;
  /** Closes and removes the file. */
  abandon(): Promise<void>;
}

export function partialPathOf(path: string): string {
  return `${path}.partial`;
}

/**
 * Creates `<path>.partial`, filled with zeros. One that a crashed run left behind is removed first.
 *
 * @param params.replace Whether `finish` may replace a file called `path`.
 * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`
 */
export async function createPartialFile(params: {
  path: string;
  size: number;
  replace: boolean;
}): Promise<PartialFile> {
  const { path, size, replace } = params;
  const partialPath = partialPathOf(path);
  const handle = await reportingAs(path, async () => {
    await rm(partialPath, { force: true });
    return open(partialPath, "wx+");
  });
  try {
    await reportingAs(path, () => handle.truncate(size));
  } catch (error) {
    await discard(handle, partialPath);
    throw error;
  }
  return {
    path,
    size,
    write: (bytes, offset) => writeAt({ handle, path, bytes, offset }),
    async finish() {
      await reportingAs(path, async () => {
        await handle.sync();
        await checkStillOurs(handle, { path, partialPath });
        await (replace ? rename(partialPath, path) : renameWithoutReplacing(partialPath, path));
        await handle.close();
        await syncDirectory(dirname(path));
      });
    },
    abandon: () => discard(handle, partialPath),
  };
}

/**
 * Writes all bytes at `offset`, however many calls that takes.
 *
 * @param params.path What errors call the file.
 * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`
 */
export async function writeAt(params: {
  handle: FileHandle;
  path: string;
  bytes: Uint8Array;
  offset: number;
}): Promise<void> {
  const { handle, path, bytes, offset } = params;
  let done = 0;
  await reportingAs(path, async () => {
    while (done < bytes.byteLength) {
      const length = Math.min(bytes.byteLength - done, LARGEST_WRITE);
      const { bytesWritten } = await handle.write(bytes, done, length, offset + done);
      done += bytesWritten;
    }
  });
}

/** Linux writes at most 2 GiB - 4 KiB in one call (write(2)). */
const LARGEST_WRITE = 2 ** 30;

/** Runs file operations on the output `path` and turns their failures into ours. */
export async function reportingAs<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    if (cause instanceof QuernError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const subject = { file: path };
    if (code === "ENOSPC" || code === "EDQUOT") {
      const what = code === "ENOSPC" ? "the disk is full" : "the disk quota is used up";
      throw new QuernError("OUTPUT_DISK_FULL", `${path}: ${what}`, { subject, cause });
    }
    if (code === "EEXIST") {
      throw new QuernError("OUTPUT_EXISTS", `${path}: the file exists already`, { subject, cause });
    }
    if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
      throw new QuernError("OUTPUT_NOT_WRITABLE", `${path}: no permission to write here`, { subject, cause });
    }
    throw new QuernError("OUTPUT_WRITE_FAILED", `${path}: writing failed: ${message}`, { subject, cause });
  }
}

async function discard(handle: FileHandle, partialPath: string): Promise<void> {
  await handle.close();
  await rm(partialPath, { force: true });
}

/** Another run with the same output may have replaced the partial file: its unfinished one must not get our name. */
async function checkStillOurs(
  handle: FileHandle,
  paths: { path: string; partialPath: string },
): Promise<void> {
  const ours = await handle.stat({ bigint: true });
  const there = await stat(paths.partialPath, { bigint: true });
  if (ours.ino === there.ino && ours.dev === there.dev) return;
  throw new QuernError(
    "OUTPUT_REPLACED",
    `${paths.partialPath}: another process has replaced the file while it was written`,
    { subject: { file: paths.path } },
  );
}

/** `rename` replaces silently; a hard link fails when the name is taken, whoever took it and whenever. */
async function renameWithoutReplacing(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw error;
    // File systems without hard links (FAT, some network shares): the best left is to look first.
    if ((await stat(to).catch(() => undefined)) !== undefined)
      throw Object.assign(error as Error, { code: "EEXIST" });
    return rename(from, to);
  }
  await unlink(from);
}

/** Makes the new name itself durable, where the system lets a directory be synchronized (Windows and some shares do not). */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
