import { rm } from "node:fs/promises";
import type { PublicationEvent } from "../events.ts";
import type { PublicationItem } from "../plan.ts";

/** Removes the files of an item that the repository holds. */
export async function deleteLocal(
  item: PublicationItem,
  emit: (event: PublicationEvent) => void,
): Promise<void> {
  const files = await item.findFiles();
  if (files === undefined) return;
  for (const target of item.targets) await rm(target, { recursive: true, force: true });
  emit({ type: "item:deleted", item: item.name, files: files.map(({ path }) => path) });
}
