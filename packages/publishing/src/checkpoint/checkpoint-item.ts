import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FOLDER_MANIFEST } from "@quern/manifest";
import { readManifest } from "@quern/manifest/node";
import { type ModelSource, sourceIdentity } from "@quern/pipeline";
import { journalPathOf } from "@quern/tensor/node";
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

/** Made for people: no manifest has it. */
const CARD = "README.md";

/**
 * Files that the run has made, by the manifest of the folder: what somebody has put there besides is not published, and not deleted. A folder
 * beside which its journal lies is complete, but its run has not come to its end: another one goes on with it.
 */
async function filesOf(folder: string): Promise<readonly LocalFile[] | undefined> {
  const manifest = join(folder, FOLDER_MANIFEST);
  if (existsSync(journalPathOf(folder)) || !existsSync(manifest)) return undefined;
  const names = (await readManifest(manifest)).files.map(({ name }) => name);
  const files: LocalFile[] = [];
  for (const path of [...names, FOLDER_MANIFEST, CARD].sort()) {
    const local = join(folder, path);
    const there = await stat(local).catch(() => undefined);
    if (there?.isFile() === true) files.push({ path, local, bytes: there.size });
    else if (path !== CARD) return undefined;
  }
  return files;
}
