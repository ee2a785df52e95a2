import { statSync } from "node:fs";
import { resolve, sep } from "node:path";

/** A path to write to: a file, or a folder when it is one or ends in "/"; the current folder unless given. */
export function outputTarget(output: string | undefined, cwd: string): { file?: string; directory: string } {
  if (output === undefined) {
    return { directory: cwd };
  }
  const path = resolve(cwd, output);
  return output.endsWith("/") || output.endsWith(sep) || isDirectory(path)
    ? { directory: path }
    : { file: path, directory: cwd };
}

/** Whether there is a folder; whatever else is in the way is for the plan to say. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
