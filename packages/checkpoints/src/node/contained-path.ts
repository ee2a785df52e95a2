import { realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { QuernError } from "@quern/tensor";

/**
 * Finds the real file behind `path` inside the folder `root` (a real path, no links in it).
 *
 * A link may lead to another place in the folder, or into the `blobs` of a Hub cache repository
 * (`models--<owner>--<name>/blobs/<hash>`), where the cache keeps the files that snapshots link to. Any other target is
 * refused: a downloaded folder must not make us read files that are not its own.
 *
 * @param path Relative, with forward slashes.
 * @returns undefined when there is no such file
 * @throws QuernError `CHECKPOINT_PATH` when the path or its target leaves the folder, `SOURCE_READ_FAILED`
 */
export async function findContained(root: string, path: string): Promise<string | undefined> {
  checkRelative(path);
  let target: string;
  try {
    target = await realpath(join(root, path));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new QuernError("SOURCE_READ_FAILED", `${path}: the file cannot be opened`, {
      subject: { file: path },
      cause,
    });
  }
  if (isInside(root, target) || isHubCacheBlob(target)) return target;
  throw new QuernError("CHECKPOINT_PATH", `${path}: the link leads out of the checkpoint, to ${target}`, {
    subject: { file: path },
  });
}

/** @throws QuernError `CHECKPOINT_PATH` unless the path is relative and stays below its start */
export function checkRelative(path: string): void {
  const parts = path.split("/");
  const escapes =
    parts.includes("..") || parts.includes("") || isAbsolute(path) || /[\\\0]|^[a-z]:/i.test(path);
  if (!escapes) return;
  throw new QuernError(
    "CHECKPOINT_PATH",
    `${JSON.stringify(path)} is not a path inside the checkpoint: expected a relative one without ".." and backslashes`,
    { subject: { file: path } },
  );
}

function isInside(root: string, target: string): boolean {
  const path = relative(root, target);
  return path !== "" && path !== ".." && !path.startsWith(`..${sep}`) && !isAbsolute(path);
}

/** Layout of the cache: huggingface_hub, docs/source/en/guides/manage-cache.md. */
function isHubCacheBlob(target: string): boolean {
  const folder = dirname(target);
  return basename(folder) === "blobs" && basename(dirname(folder)).startsWith("models--");
}
