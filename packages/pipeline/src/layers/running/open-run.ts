import { rename } from "node:fs/promises";
import { Journal, journalPathOf, type JsonRecord, partialPathOf, reportingAs } from "@quern/tensor/node";
import { checkSameCheckpoint } from "../../journal/check-journal.ts";
import { CHECKPOINT_JOURNAL, FINISHING } from "../../journal/checkpoint-journal.ts";
import type { CheckpointPlan } from "../plan.ts";
import { findUnfinished } from "../planning/unfinished-run.ts";
import { settleSetAside } from "../set-aside.ts";
import { createPartialFolder, type PartialFolder } from "./partial-folder.ts";

/** A folder that is written, and what is noted of it. */
export interface OpenRun {
  readonly folder: PartialFolder;
  /** What an earlier run has noted. */
  readonly entries: readonly JsonRecord[];
  /** Notes plain data for a later run. */
  readonly note: (entry: object) => Promise<void>;
  /** Makes sure that notes are on disk. */
  settle(): Promise<void>;
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
 * @throws QuernError `RESUME_OTHER_RUN` for one that would have become something else, `OUTPUT_IN_USE`, `OUTPUT_*`
 */
export async function openRun(plan: CheckpointPlan): Promise<OpenRun> {
  const { folder: path, replaces: replace, restart, identity, checkpoint } = plan;
  const found = await findUnfinished(path);
  const left = restart ? undefined : found;
  if (left !== undefined) checkSameCheckpoint(left.journal, identity ?? {});
  await settleSetAside(path);
  // It is looked through as any other that an earlier run has left.
  if (left?.isPlaced === true) await reportingAs(path, () => rename(path, partialPathOf(path)));
  const journal: Journal | undefined =
    identity &&
    (await (left === undefined
      ? Journal.begin({ path: journalPathOf(path), kind: CHECKPOINT_JOURNAL, identity })
      : Journal.resume(left.journal)));
  const folder = await createPartialFolder({ path, replace, keep: left !== undefined });
  const run: OpenRun = {
    folder,
    entries: left?.journal.entries ?? [],
    note: async (entry) => journal?.append(entry),
    settle: async () => journal?.settle(),
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
