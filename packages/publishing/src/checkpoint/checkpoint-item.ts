import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { journalPathOf, type ModelSource, sourceIdentity } from "@quern/pipeline";
import { hashFiles } from "../hash-files.ts";
import type { LocalFile, PublicationItem } from "../plan.ts";

/** A quantized checkpoint as an item: a folder that has its name once it is complete. */
export async function checkpointItem(params: {
  readonly name: string;
  readonly source: ModelSource;
  /** What decides about the bytes beside the source, as plain data. */
  readonly recipe: unknown;
  readonly tool: string;
  /** Absolute path. */
  readonly folder: string;
  /** Bytes of weights, as far as they are known. */
  readonly bytes: number;
}): Promise<PublicationItem> {
  const { name, source, recipe, tool, folder, bytes } = params;
  const identity = JSON.stringify([tool, await sourceIdentity(source), recipe]);
  return {
    name,
    identity: createHash("sha256").update(identity).digest("hex"),
    targets: [folder],
    bytes,
    goesOnUntilNoted: false,
    findFiles: () => filesOf(folder),
    finish: ({ files, signal }) => hashFiles(files, signal),
  };
}

/** A folder beside which its journal lies is complete, but its run has not come to its end: another one goes on with it. */
async function filesOf(folder: string): Promise<readonly LocalFile[] | undefined> {
  if (existsSync(journalPathOf(folder))) return undefined;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return undefined;
  const files: LocalFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const local = join(entry.parentPath, entry.name);
    const path = local.slice(folder.length + 1).replaceAll(sep, "/");
    files.push({ path, local, bytes: (await stat(local)).size });
  }
  return files.length === 0 ? undefined : files.sort((one, other) => (one.path < other.path ? -1 : 1));
}
