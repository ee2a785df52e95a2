import { readdirSync } from "node:fs";
import { repositoryPath } from "./run-cli.ts";

const SKIPPED: ReadonlySet<string> = new Set(["node_modules", "dist", "html", ".turbo"]);

/** All files in a folder of the repository that are ours: "packages/gguf/src/index.ts". */
export function repositoryFiles(folder: string): string[] {
  return readdirSync(repositoryPath(folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isFile()) return [path];
    return entry.isDirectory() && !SKIPPED.has(entry.name) ? repositoryFiles(path) : [];
  });
}
