import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseSplitFileName, splitFileName } from "@quern/gguf";
import { hasHubPrefix } from "@quern/hub";
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
 * Finds a manifest: that in a folder, that beside a file, the first file of its set or the files of a checkpoint, or the one that is named
 * itself.
 *
 * @param params.manifest As the user gave it.
 * @throws QuernError `USAGE_VERIFY` for a repository, and for a folder with manifests of several files
 */
export function verifyTarget(params: {
  readonly path: string;
  readonly manifest: string | undefined;
  readonly cwd: string;
}): VerifyTarget {
  const { manifest, cwd } = params;
  if (hasHubPrefix(params.path)) {
    throw new QuernError(
      "USAGE_VERIFY",
      `${params.path}: files are verified on this machine: expected one that is downloaded, or a folder.`,
    );
  }
  const path = resolve(cwd, params.path);
  const given = manifest === undefined ? undefined : resolve(cwd, manifest);
  if (isDirectory(path)) return { manifest: given ?? manifestIn(path), folder: path };
  const folder = dirname(path);
  const name = basename(path);
  if (name === FOLDER_MANIFEST || name.endsWith(manifestName(""))) {
    return { manifest: given ?? path, folder };
  }
  const split = parseSplitFileName(name);
  const beside = join(
    folder,
    manifestName(split === undefined ? name : splitFileName({ ...split, index: 0 })),
  );
  const ofFolder = join(folder, FOLDER_MANIFEST);
  const isOfCheckpoint = !name.endsWith(".gguf") && !existsSync(beside) && existsSync(ofFolder);
  if (given === undefined && isOfCheckpoint) return { manifest: ofFolder, folder };
  return { manifest: given ?? beside, folder, file: name };
}

/** The manifest of a folder, or the only one of a file in it. */
function manifestIn(folder: string): string {
  const own = join(folder, FOLDER_MANIFEST);
  if (existsSync(own)) return own;
  const [first, ...others] = readdirSync(folder)
    .filter((name) => name.endsWith(manifestName("")))
    .toSorted();
  if (first === undefined) return own;
  if (others.length === 0) return join(folder, first);
  throw new QuernError(
    "USAGE_VERIFY",
    `${folder}: has manifests of several files: expected one of ${[first, ...others].join(", ")}.`,
  );
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
