import { rename, stat } from "node:fs/promises";
import { QuernError } from "@quern/tensor";
import { partialPathOf, reportingAs } from "@quern/tensor/node";
import { checkUnused } from "../../journal/check-journal.ts";
import {
  CHECKPOINT_FORMAT,
  type CheckpointJournalState,
  checkSameRun,
  FINISHING,
  isPlacedUnnoted,
  readCheckpointJournal,
  type RunIdentity,
} from "../../journal/checkpoint-journal.ts";
import { ConversionJournal } from "../../journal/journal.ts";
import { journalPathOf } from "../../journal/read-journal.ts";
import { checkpointIdentity } from "../checkpoint-identity.ts";
import type { CheckpointPlan } from "../plan.ts";
import { createPartialFolder, type PartialFolder } from "./partial-folder.ts";

/** A folder that is written, and what is noted of it. */
export interface OpenRun {
  readonly folder: PartialFolder;
  /** Absent where nothing is known that tells it from other runs: then nothing goes on with it. */
  readonly identity?: RunIdentity;
  /** What an earlier run has noted. */
  readonly entries: readonly unknown[];
  /** Notes plain data for a later run. */
  readonly note: (entry: object) => Promise<void>;
  /** The folder is complete, and about to get its name. */
  finishing(): Promise<void>;
  /** The folder has its name. */
  done(): Promise<void>;
  /** What is written stays for a later run. */
  leave(): Promise<void>;
  /** Removes everything. */
  abandon(): Promise<void>;
}

/**
 * Begins a run, or goes on with one that ended early.
 *
 * @param restart Whether an unfinished run is thrown away.
 * @throws QuernError `RESUME_OTHER_RUN` for one that would have become something else, `OUTPUT_IN_USE`, `OUTPUT_*`
 */
export async function openRun(plan: CheckpointPlan, restart: boolean): Promise<OpenRun> {
  const { folder: path, replaces: replace, checkpoint } = plan;
  const identity = await checkpointIdentity(plan);
  const isPlaced = await isPlacedUnnoted(path);
  if (isPlaced && restart && !replace) {
    throw new QuernError(
      "OUTPUT_EXISTS",
      `${path}: the folder is complete; only what an interrupted run noted lies beside it`,
      { subject: { file: path } },
    );
  }
  const left = await unfinished(path, restart, isPlaced);
  if (left !== undefined) checkSameRun(left, identity ?? {});
  // It is looked through as any other that an earlier run has left.
  if (left !== undefined && isPlaced) await reportingAs(path, () => rename(path, partialPathOf(path)));
  const journal = identity && (await openJournal(path, identity, left));
  const folder = await createPartialFolder({ path, replace, keep: left !== undefined });
  const run: OpenRun = {
    folder,
    ...(identity && { identity }),
    entries: left?.entries ?? [],
    note: async (entry) => journal?.append(entry),
    async finishing() {
      await journal?.append(FINISHING);
      await journal?.settle();
    },
    done: async () => journal?.remove(),
    leave: async () => (journal === undefined ? folder.abandon() : journal.close()),
    async abandon() {
      await folder.abandon();
      await journal?.remove();
    },
  };
  try {
    for (const { fileName: name, layout } of checkpoint.shards.shards) {
      await folder.create({ name, size: layout.fileSize, header: layout.header });
    }
    return run;
  } catch (error) {
    await (left === undefined ? run.abandon() : run.leave());
    throw error;
  }
}

/** What there is to go on with. */
async function unfinished(
  path: string,
  restart: boolean,
  isPlaced: boolean,
): Promise<CheckpointJournalState | undefined> {
  const found = await readCheckpointJournal(journalPathOf(path));
  if (found === undefined) return undefined;
  await checkUnused(found);
  const there = await stat(partialPathOf(path)).catch(() => undefined);
  return restart || (there?.isDirectory() !== true && !isPlaced) ? undefined : found;
}

function openJournal(
  path: string,
  identity: RunIdentity,
  left: CheckpointJournalState | undefined,
): Promise<ConversionJournal> {
  return left === undefined
    ? ConversionJournal.begin(journalPathOf(path), identity, CHECKPOINT_FORMAT)
    : ConversionJournal.resume(left);
}
