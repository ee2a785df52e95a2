import { basename, dirname, join, resolve } from "node:path";
import { parseSplitFileName, splitFileName } from "@quern/gguf";
import { FOLDER_MANIFEST, manifestName } from "@quern/manifest";
import { isDirectory } from "./output-target.ts";

/** Where the manifest of what a user names is, and the files that it is about. Absolute paths. */
export interface VerifyTarget {
  readonly manifest: string;
  readonly folder: string;
}

/**
 * Finds a manifest: that in a folder, that beside a file or the first file of its set, or the one that is named itself.
 *
 * @param params.manifest As the user gave it.
 */
export function verifyTarget(params: {
  readonly path: string;
  readonly manifest: string | undefined;
  readonly cwd: string;
}): VerifyTarget {
  const { manifest, cwd } = params;
  const path = resolve(cwd, params.path);
  const given = manifest === undefined ? {} : { manifest: resolve(cwd, manifest) };
  if (isDirectory(path)) return { manifest: join(path, FOLDER_MANIFEST), folder: path, ...given };
  const folder = dirname(path);
  const name = basename(path);
  if (name === FOLDER_MANIFEST || name.endsWith(manifestName("")))
    return { manifest: path, folder, ...given };
  const split = parseSplitFileName(name);
  const first = split === undefined ? name : splitFileName({ ...split, index: 0 });
  return { manifest: join(folder, manifestName(first)), folder, ...given };
}
