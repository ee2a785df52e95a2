import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileSource } from "@quern/tensor/node";
import type { CheckpointFileSet } from "../checkpoint.ts";
import { checkRelative, findContained } from "./contained-path.ts";
import { checkSmallFile } from "./small-file.ts";

/**
 * The small files of a folder.
 *
 * @param params.location Path of the folder as messages give it.
 * @param params.root Its real path.
 */
export function directoryFiles(params: { location: string; root: string; name: string }): CheckpointFileSet {
  const { location, root, name } = params;
  return {
    name,
    has(path) {
      checkRelative(path);
      return existsSync(join(root, path));
    },
    size(path) {
      checkRelative(path);
      return statSync(join(root, path), { throwIfNoEntry: false })?.size;
    },
    async read(path) {
      const found = await findContained(root, path);
      if (found === undefined) return undefined;
      const source = await fileSource({ path: found, name: join(location, path) });
      try {
        checkSmallFile(source);
        return await source.read(0, source.size);
      } finally {
        await source.close();
      }
    },
    list(folder) {
      if (folder !== "") checkRelative(folder);
      try {
        const entries = readdirSync(join(root, folder), { withFileTypes: true });
        return entries.flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]));
      } catch {
        return [];
      }
    },
  };
}
