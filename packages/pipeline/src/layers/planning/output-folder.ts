import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces, partialPathOf } from "@quern/tensor/node";
import { replacedPathOf } from "../set-aside.ts";
import { findUnfinished, type UnfinishedRun } from "./unfinished-run.ts";

/** A folder of a model that is going to be written. */
export interface OutputFolder {
  /** Absolute path. */
  readonly path: string;
  /** Whether there is one, which is replaced. */
  readonly replaces: boolean;
  /** What an earlier run has left, if it is to be gone on with. */
  readonly unfinished?: UnfinishedRun;
}

/**
 * Checks that a folder can be written: that its name is free, or with `force` that of a model or of an empty folder, that no source lies in
 * it, and that there is room.
 *
 * @param params.files Names and sizes of what it will have.
 * @param params.source Folder that is read, where it is one of this machine.
 * @param params.restart Whether what an earlier run has left unfinished is thrown away.
 * @throws QuernError `OUTPUT_IN_USE`, `OUTPUT_EXISTS`, `OUTPUT_NOT_A_MODEL`, `OUTPUT_IS_SOURCE`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_NO_SPACE`
 */
export async function checkOutputFolder(params: {
  readonly output: string;
  readonly files: readonly { readonly name: string; readonly size: number }[];
  readonly source: string | undefined;
  readonly force: boolean;
  readonly restart: boolean;
}): Promise<OutputFolder> {
  const { files, source, force, restart } = params;
  const path = resolve(params.output);
  const found = await findUnfinished(path);
  const unfinished = restart ? undefined : found;
  const isFinished = unfinished?.isPlaced === true;
  const replaced = await replacedPathOf(path);
  const replaces = replaced !== undefined && (force || !isFinished);
  if (replaces) {
    if (!force) {
      const where =
        replaced === path ? "" : `: a run that was ended while it replaced it left it as ${replaced}`;
      throw outputError("OUTPUT_EXISTS", path, `the folder exists already (force replaces it)${where}`);
    }
    const isFolder = (await stat(replaced)).isDirectory();
    const names = isFolder ? await readdir(replaced) : undefined;
    if (names === undefined || (names.length > 0 && !names.includes("config.json"))) {
      throw outputError(
        "OUTPUT_NOT_A_MODEL",
        path,
        "there is something of this name that is not the folder of a model, and is not replaced",
      );
    }
  }
  for (const folder of [path, partialPathOf(path)]) {
    if (source !== undefined && (await contains(folder, source))) {
      throw outputError("OUTPUT_IS_SOURCE", folder, "the model that is read lies here");
    }
  }
  const places = files.map(async ({ name, size }) => {
    const file = join(isFinished ? path : partialPathOf(path), name);
    return { path: file, fileSize: Math.max(0, size - (await bytesTaken(file))) };
  });
  await checkOutputPlaces({
    places: await Promise.all(places),
    sources: [],
    // What another run has left there is gone on with, or goes.
    force: true,
  });
  return { path, replaces, ...(unfinished && { unfinished }) };
}

/** What a file takes of its disk. */
async function bytesTaken(path: string): Promise<number> {
  const there = await stat(path).catch(() => undefined);
  // Windows tells no blocks.
  return there?.isFile() === true ? (there.blocks ?? 0) * 512 : 0;
}

/** Whether a folder is another one or holds it, links followed. */
async function contains(folder: string, other: string): Promise<boolean> {
  const [outer, inner] = await Promise.all([realPathOf(folder), realPathOf(other)]);
  const between = relative(outer, inner);
  return (
    between === "" || !(between === ".." || between.startsWith(`..${sep}`) || resolve(between) === between)
  );
}

/** Of a folder that is not there yet: by the one that it will be in. */
async function realPathOf(path: string): Promise<string> {
  return realpath(path).catch(async () =>
    join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path)),
  );
}

function outputError(code: string, file: string, problem: string): QuernError {
  return new QuernError(code, `${file}: ${problem}`, { subject: { file } });
}
