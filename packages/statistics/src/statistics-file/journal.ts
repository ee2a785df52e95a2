import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { QuernError } from "@quern/tensor";
import {
  checkUnused,
  findOutputFile,
  type FoundJournal,
  isCount,
  type JournalKind,
  journalPathOf,
  partialPathOf,
  readJournal,
  type RunParts,
  runPartsOf,
  sha256Of,
} from "@quern/tensor/node";
import type { StatisticsPlan } from "./plan.ts";

/** All statistics of a block are complete and on disk. */
export interface BlockRecord {
  readonly completed: number;
}

/** Beside a partial statistics file. What is noted is not looked at again: blocks are on disk before that is noted. */
export const STATISTICS_JOURNAL: JournalKind<RunParts, BlockRecord> = {
  format: "quern-statistics-journal",
  version: 1,
  identityOf: runPartsOf,
  entryOf: ({ completed }) => (isCount(completed) ? { completed } : undefined),
};

/** What a run and another one are told apart by, for people, in the order in which it is looked at. */
const REASONS = {
  model: "it is of another model",
  text: "it is of other texts or other windows of them",
  options: "its options are others",
  tool: "another program or version has begun it",
  layout: "it collects something else",
} as const;

/** What makes a run another run; an unfinished file is gone on with when all of it is equal. */
export type StatisticsRun = RunParts & Readonly<Record<keyof typeof REASONS, string>>;

export function runOf({ description, layout }: StatisticsPlan): StatisticsRun {
  const { model, corpus, options, tool } = description;
  const hashes = [corpus.calibration.hash, corpus.holdOut?.hash ?? "none"];
  return {
    model: model.identity,
    text: hashes.join(" "),
    options: JSON.stringify(options),
    tool,
    // Everything about the file but the statistics themselves.
    layout: sha256Of(layout.header),
  };
}

/** How far an earlier run has come with a file. */
export interface StatisticsProgress {
  readonly journal: FoundJournal<RunParts, BlockRecord>;
  /** Blocks that are complete. */
  readonly completed: ReadonlySet<number>;
  /** Whether the file has its final name already: all but the journal is done. */
  readonly isPlaced: boolean;
}

/**
 * Finds out how far an earlier run has come with a file.
 *
 * @param params.force Whether that of another run, or one that is damaged, counts for nothing. Default: false.
 * @param params.restart Whether whatever was begun counts for nothing. Default: false.
 * @returns undefined when there is nothing to go on with
 * @throws QuernError `OUTPUT_IN_USE`, `STATISTICS_OTHER_RUN`, `STATISTICS_JOURNAL_INVALID`, and the codes of `readJournal`
 */
export async function findStatisticsProgress(params: {
  path: string;
  plan: StatisticsPlan;
  force?: boolean;
  restart?: boolean;
}): Promise<StatisticsProgress | undefined> {
  const { plan, force = false, restart = false } = params;
  const path = resolve(params.path);
  const journal = await readJournal(journalPathOf(path), STATISTICS_JOURNAL);
  if (journal === undefined) return undefined;
  await checkUnused(journal);
  if (restart) return undefined;
  const { header } = plan.layout;
  const isPlaced =
    (await findOutputFile({ path, size: plan.fileSize, header, mayBePlaced: true })) === "placed";
  const size = isPlaced ? plan.fileSize : await sizeOf(partialPathOf(path));
  if (size === undefined) return undefined;
  const problem = problemOf({ path, plan, journal, size });
  if (problem !== undefined) {
    if (force) return undefined;
    throw problem;
  }
  // The run ended before the file got its size.
  if (size !== plan.fileSize) return undefined;
  const completed = new Set(journal.entries.map((entry) => entry.completed));
  // A whole file beside the journal of a run that was not through is of another time.
  if (isPlaced && completed.size < plan.blocks.length) return undefined;
  return { journal, completed, isPlaced };
}

/** Why a run cannot go on from here. */
function problemOf(params: {
  path: string;
  plan: StatisticsPlan;
  journal: FoundJournal<RunParts, BlockRecord>;
  /** Of the file. */
  size: number;
}): QuernError | undefined {
  const { path, plan, journal, size } = params;
  const { path: file, identity, entries, strangeLine } = journal;
  const invalid = (problem: string): QuernError => {
    return new QuernError(
      "STATISTICS_JOURNAL_INVALID",
      `${file}: not the journal of an unfinished statistics file: ${problem}. Force or restart begins anew.`,
      { subject: { file } },
    );
  };
  if (identity === undefined) return invalid("its format is another one");
  const key = other(runOf(plan), identity);
  if (key !== undefined) {
    const subject = { file: partialPathOf(path), key };
    return new QuernError(
      "STATISTICS_OTHER_RUN",
      `${subject.file}: an unfinished file lies here, and ${REASONS[key]}. Finish it as it was begun, or force a new beginning.`,
      { subject },
    );
  }
  if (strangeLine !== undefined) return invalid(`line ${strangeLine} says nothing that is known`);
  if (size !== plan.fileSize && entries.length > 0) {
    return invalid(`the file it belongs to has ${size} bytes: expected ${plan.fileSize}`);
  }
  const strange = entries.find(({ completed }) => !plan.blocks.includes(completed));
  return strange && invalid(`it names a block ${strange.completed}, which there is not`);
}

function other(ours: StatisticsRun, theirs: RunParts): keyof typeof REASONS | undefined {
  return (Object.keys(REASONS) as (keyof typeof REASONS)[]).find((key) => ours[key] !== theirs[key]);
}

async function sizeOf(path: string): Promise<number | undefined> {
  const there = await stat(path).catch(() => undefined);
  return there?.isFile() === true ? there.size : undefined;
}
