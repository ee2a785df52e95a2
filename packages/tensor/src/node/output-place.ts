import { access, constants, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "../error.ts";
import { partialPathOf } from "./output-file.ts";

/** A file that is going to be written. */
export interface OutputPlace {
  /** Absolute path. */
  readonly path: string;
  readonly fileSize: number;
  /** Whether it is there already, complete, and stays as it is. @default false */
  readonly isFinished?: boolean;
}

/**
 * Checks that all files can be written: that no name is taken (unless `force`, and never by a source), that folders are
 * writable, and that every disk has room for its files together; what their partial files take of it already counts for them.
 *
 * @returns for each output, whether a file with its name exists
 * @throws QuernError `OUTPUT_DUPLICATE`, `OUTPUT_EXISTS`, `OUTPUT_IS_SOURCE`, `OUTPUT_NOT_A_FILE`, `OUTPUT_NOT_WRITABLE`,
 * `OUTPUT_NO_SPACE`
 */
export async function checkOutputPlaces(params: {
  places: readonly OutputPlace[];
  /** Paths of the files that are read. */
  sources: readonly string[];
  force: boolean;
}): Promise<boolean[]> {
  const { places, sources, force } = params;
  const replaces: boolean[] = [];
  const disks = new Map<number, { folder: string; needed: number }>();
  const paths = new Set<string>();
  const read = new Set(await Promise.all(sources.map(identityOf)));
  for (const { path, fileSize, isFinished = false } of places) {
    if (paths.has(path)) {
      throw outputError("OUTPUT_DUPLICATE", path, "two outputs would have this name");
    }
    paths.add(path);
    replaces.push(isFinished ? false : await checkPath(path, force));
    for (const taken of [path, partialPathOf(path)]) {
      const identity = await identityOf(taken);
      if (identity !== undefined && read.has(identity))
        throw outputError("OUTPUT_IS_SOURCE", taken, "this is one of the files that are read");
    }
    const { folder, device } = await checkFolder(path);
    const missing = isFinished ? 0 : Math.max(0, fileSize - (await partialBytes(path)));
    const needed = (disks.get(device)?.needed ?? 0) + missing;
    disks.set(device, { folder, needed });
  }
  for (const disk of disks.values()) await checkSpace(disk);
  return replaces;
}

/** The same for every name of a file, however links, letter case and mounts have it; undefined when there is none. */
async function identityOf(path: string): Promise<string | undefined> {
  const there = await stat(path, { bigint: true }).catch(() => undefined);
  return there === undefined ? undefined : `${there.dev}:${there.ino}`;
}

/** @returns whether there is a file called `path` */
async function checkPath(path: string, force: boolean): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return false;
  if (!there.isFile())
    throw outputError("OUTPUT_NOT_A_FILE", path, "there is something of this name that is not a file");
  if (!force) throw outputError("OUTPUT_EXISTS", path, "the file exists already (force replaces it)");
  return true;
}

/** Finds the folder that exists already; those between it and the file are going to be made. */
async function checkFolder(path: string): Promise<{ folder: string; device: number }> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    let there;
    try {
      there = await stat(folder);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT" && folder !== dirname(folder)) continue;
      throw outputError("OUTPUT_NOT_WRITABLE", path, `the folder ${folder} cannot be used`, cause);
    }
    if (!there.isDirectory()) throw outputError("OUTPUT_NOT_WRITABLE", path, `${folder} is not a folder`);
    try {
      await access(folder, constants.W_OK | constants.X_OK);
    } catch (cause) {
      throw outputError("OUTPUT_NOT_WRITABLE", path, `no permission to write to ${folder}`, cause);
    }
    return { folder, device: there.dev };
  }
}

/** What a partial file takes on its disk: it is gone on with, or removed before another one is written. */
async function partialBytes(path: string): Promise<number> {
  const there = await stat(partialPathOf(path)).catch(() => undefined);
  // Windows tells no blocks.
  return there?.isFile() === true ? (there.blocks ?? 0) * 512 : 0;
}

async function checkSpace({ folder, needed }: { folder: string; needed: number }): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw outputError(
    "OUTPUT_NO_SPACE",
    folder,
    `the outputs take ${needed} bytes more, and ${free} are free on this disk`,
  );
}

function outputError(code: string, file: string, problem: string, cause?: unknown): QuernError {
  return new QuernError(code, `${file}: ${problem}`, { subject: { file }, cause });
}
