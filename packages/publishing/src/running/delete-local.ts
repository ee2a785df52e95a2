import { rm, stat } from "node:fs/promises";
import { basename } from "node:path";
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
  const published = new Map(journal.item(item.name)?.files?.map(({ path, bytes }) => [path, bytes]));
  const files = (await item.findFiles())?.map(({ path }) => path) ?? [];
  const removed: string[] = [];
  for (const target of item.targets) {
    const there = await stat(target).catch(() => undefined);
    const name = basename(target);
    // What somebody has put there since stays.
    if (there === undefined || (there.isFile() && there.size !== published.get(name))) continue;
    await rm(target, { recursive: true, force: true });
    removed.push(name);
  }
  if (removed.length === 0) return;
  emit({ type: "item:deleted", item: item.name, files: files.length === 0 ? removed : files });
}
