import { rm, rmdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { PublicationEvent } from "../events.ts";
import type { PublicationJournal } from "../journal.ts";
import type { PublicationItem } from "../plan.ts";

/** Removes the files of an item that the repository holds, also where an earlier run has removed some of them. */
export async function deleteLocal(params: {
  readonly item: PublicationItem;
  readonly journal: PublicationJournal;
  readonly emit: (event: PublicationEvent) => void;
}): Promise<void> {
  const { item, journal, emit } = params;
  // A card is in the repository, too, but has become another there.
  const known = [...((await item.findFiles()) ?? []), ...(journal.item(item.name)?.files ?? [])];
  const published = new Map(known.map(({ path, bytes }) => [path, bytes]));
  const removed: string[] = [];
  for (const target of item.targets) {
    const there = await stat(target).catch(() => undefined);
    if (there === undefined) continue;
    if (there.isDirectory()) removed.push(...(await emptyFolder(target, published)));
    else if (await removeFile(target, published.get(basename(target)))) removed.push(basename(target));
  }
  if (removed.length === 0) return;
  emit({ type: "item:deleted", item: item.name, files: removed });
}

/** Removes the files of a folder that were published, and the folder with them unless something else is in it. @returns what was removed */
async function emptyFolder(folder: string, published: ReadonlyMap<string, number>): Promise<string[]> {
  const removed: string[] = [];
  for (const [path, bytes] of published) {
    if (await removeFile(join(folder, path), bytes)) removed.push(path);
  }
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  });
  return removed;
}

/** What somebody has put there since stays. @param bytes Of the file that was published. */
async function removeFile(path: string, bytes: number | undefined): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  if (there?.isFile() !== true || there.size !== bytes) return false;
  await rm(path, { force: true });
  return true;
}
