import { type FileHandle, link, open, rename, rm, stat, unlink } from "node:fs/promises";
import { QuernError } from "../error.ts";
import { checksumRange } from "./hash-range.ts";

/** A file while it is written: it has its final size and is called `<path>.partial`. */
export interface PartialFile {
  /** Final path. */
  readonly path: string;
  readonly size: number;
  /** Writes all bytes at an absolute offset. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** CRC-32 of bytes that are in the file; as `checksumRange`. */
  checksum(offset: number, size: number): Promise<string>;
  /** Makes sure that everything is on disk. */
  settle(): Promise<void>;
  /** Whether it bears its final name already. */
  readonly isPlaced: boolean;
  /** Gives the file its final name, unless it has it; it must be settled. */
  place(): Promise<void>;
  /** Takes its final name away again. */
  displace(): Promise<void>;
  /** Closes the file and removes it, under whichever name it has. */
  abandon(): Promise<void>;
  /** Closes the file, under whatever name it has. */
  close(): Promise<void>;
}

/** What a file is called until it is complete. */
export function partialPathOf(path: string): string {
  return `${path}.partial`;
}

/**
 * Creates `<path>.partial`, filled with zeros. One that a crashed run left behind is removed first.
 *
 * @param params.replace Whether `place` may replace a file called `path`.
 * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`
 */
export async function createPartialFile(params: PartialFileParams): Promise<PartialFile> {
  const { path, size } = params;
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
  return partialFileOf(handle, params);
}

/**
 * Opens `<path>.partial` as an interrupted run left it, to go on with; it must have its final size.
 *
 * @param params.replace Whether `place` may replace a file called `path`.
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED`
 */
export async function reopenPartialFile(params: PartialFileParams): Promise<PartialFile> {
  const handle = await reportingAs(params.path, () => open(partialPathOf(params.path), "r+"));
  return partialFileOf(handle, params);
}

/**
 * Opens a file that an interrupted run has given its final name already, while others of its set were not.
 *
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED`
 */
export async function reopenPlacedFile(params: PartialFileParams): Promise<PartialFile> {
  const handle = await reportingAs(params.path, () => open(params.path, "r+"));
  return partialFileOf(handle, params, params.path);
}

interface PartialFileParams {
  readonly path: string;
  readonly size: number;
  readonly replace: boolean;
}

function partialFileOf(
  handle: FileHandle,
  { path, size, replace }: PartialFileParams,
  initialName = partialPathOf(path),
): PartialFile {
  const partialPath = partialPathOf(path);
  let name = initialName;
  return {
    path,
    size,
    get isPlaced() {
      return name === path;
    },
    write: (bytes, offset) => writeAt({ handle, path, bytes, offset }),
    checksum: (offset, length) => checksumRange({ handle, path, offset, size: length }),
    settle: () =>
      reportingAs(path, async () => {
        await handle.sync();
        await checkName({ handle, name, path });
      }),
    async place() {
      if (name === path) return;
      await reportingAs(path, async () => {
        await (replace ? rename(name, path) : renameWithoutReplacing(name, path));
        name = path;
      });
    },
    async displace() {
      if (name === partialPath) return;
      await reportingAs(path, async () => {
        await rename(path, partialPath);
        name = partialPath;
      });
    },
    abandon: () => discard(handle, name),
    close: () => handle.close(),
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

async function discard(handle: FileHandle, name: string): Promise<void> {
  const isOurs = await isCalled(handle, name).catch(() => false);
  await handle.close();
  if (isOurs) await rm(name, { force: true });
}

/**
 * Checks that an open file still has its name.
 *
 * @param params.path What errors are about.
 * @throws QuernError `OUTPUT_REPLACED`
 */
export async function checkName(params: { handle: FileHandle; name: string; path: string }): Promise<void> {
  const { handle, name, path } = params;
  if (await isCalled(handle, name).catch(() => false)) return;
  throw new QuernError(
    "OUTPUT_REPLACED",
    `${name}: another process has replaced the file while it was written`,
    { subject: { file: path } },
  );
}

/** Whether the open file still has a name: another run with the same output may have put its own file there. */
async function isCalled(handle: FileHandle, name: string): Promise<boolean> {
  const ours = await handle.stat({ bigint: true });
  const there = await stat(name, { bigint: true });
  return ours.ino === there.ino && ours.dev === there.dev;
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
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
