import { stat } from "node:fs/promises";
import {
  checkUnused,
  type FoundJournal,
  journalPathOf,
  type JsonRecord,
  partialPathOf,
  readJournal,
  type RunParts,
} from "@quern/tensor/node";
import { CHECKPOINT_JOURNAL, isFinishing } from "../../journal/checkpoint-journal.ts";

/** What an earlier run has left of a folder, and noted of it. */
export interface UnfinishedRun {
  readonly journal: FoundJournal<RunParts, JsonRecord>;
  /** Whether the folder has its name: the run ended before the journal was gone. */
  readonly isPlaced: boolean;
}

/**
 * Looks for what there is to go on with.
 *
 * @param path Of the folder.
 * @throws QuernError `OUTPUT_IN_USE`, and the codes of `readJournal`
 */
export async function findUnfinished(path: string): Promise<UnfinishedRun | undefined> {
  const journal = await readJournal(journalPathOf(path), CHECKPOINT_JOURNAL);
  if (journal === undefined) return undefined;
  await checkUnused(journal);
  if (await isFolder(partialPathOf(path))) return { journal, isPlaced: false };
  return isFinishing(journal.entries) && (await isFolder(path)) ? { journal, isPlaced: true } : undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (there) => there.isDirectory(),
    () => false,
  );
}
