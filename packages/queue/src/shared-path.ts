import { isAbsolute, relative, resolve, sep } from "node:path";
import { QuernError } from "@quern/tensor";
import { z } from "zod";

/** A file or folder as all machines find it. */
export type SharedPath =
  | {
      /** Below the root that each machine is told. With forward slashes; empty for the root itself. */
      readonly belowRoot: string;
    }
  | {
      /** The same on all machines. */
      readonly absolute: string;
    };

export const sharedPath: z.ZodType<SharedPath> = z.union([
  z.strictObject({ belowRoot: z.string().refine(staysBelow, "a path that leaves the root") }),
  z.strictObject({ absolute: z.string() }),
]);

/**
 * How other machines are told a path.
 *
 * @param path Absolute.
 * @param root Folder that each machine has, wherever it is there. @default none: paths are the same everywhere
 */
export function sharePath(path: string, root?: string): SharedPath {
  const below = root === undefined ? undefined : pathBelow(path, root);
  return below === undefined ? { absolute: path } : { belowRoot: below };
}

/**
 * Where a path is on this machine.
 *
 * @param root Nothing outside of it is touched. @default none: paths are the same everywhere
 * @throws QuernError `QUEUE_ROOT_MISSING` for paths below a root that is not known, `QUEUE_PATH_OUTSIDE`
 */
export function localPath(shared: SharedPath, root?: string): string {
  if ("belowRoot" in shared) {
    if (root !== undefined) return resolve(root, shared.belowRoot);
    throw new QuernError(
      "QUEUE_ROOT_MISSING",
      `The run names ${shared.belowRoot === "" ? "a folder" : shared.belowRoot} below its root: expected to be told where that is on this machine.`,
    );
  }
  const { absolute } = shared;
  if (!isAbsolute(absolute) || (root !== undefined && pathBelow(absolute, root) === undefined)) {
    throw new QuernError(
      "QUEUE_PATH_OUTSIDE",
      `${absolute}: expected a path below ${root ?? "/"}, as nothing else is touched`,
      { subject: { file: absolute } },
    );
  }
  return absolute;
}

/** @returns undefined for a path that is not below the root */
function pathBelow(path: string, root: string): string | undefined {
  const below = relative(root, path);
  return isAbsolute(below) || below.split(sep)[0] === ".." ? undefined : below.split(sep).join("/");
}

function staysBelow(path: string): boolean {
  return !isAbsolute(path) && !path.includes("\\") && !path.includes("\0") && !path.split("/").includes("..");
}
