import { basename, dirname, join, resolve } from "node:path";
import { parseSplitFileName, splitFileName } from "@quern/gguf";
import { FOLDER_MANIFEST, type Manifest, manifestName } from "@quern/manifest";
import { QuernError } from "@quern/tensor";
import { isDirectory } from "./output-target.ts";

/** Where the manifest of what a user names is, and the files that it is about. Absolute paths. */
export interface VerifyTarget {
  readonly manifest: string;
  readonly folder: string;
  /** Name of the file that the user has named; absent where that is a folder or a manifest. */
  readonly file?: string;
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
  return { manifest: join(folder, manifestName(first)), folder, file: name, ...given };
}

/**
 * The manifest with the name that its file has now: a file may have been renamed together with its manifest.
 *
 * @throws QuernError `USAGE_VERIFY` for a file that is not one of several that a manifest names
 */
export function manifestOfFile(manifest: Manifest, file: string | undefined): Manifest {
  const [first, ...others] = manifest.files;
  if (file === undefined || manifest.files.some(({ name }) => name === file)) return manifest;
  if (others.length === 0) return { ...manifest, files: [{ ...first!, name: file }] };
  throw new QuernError(
    "USAGE_VERIFY",
    `The manifest is of ${manifest.files.length} files from "${first!.name}" on, and "${file}" is none of them: expected their names to be as they were.`,
  );
}
