import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "@quern/tensor";
import { findOutputFile, partialPathOf, reportingAs, sha256Of, syncDirectory } from "@quern/tensor/node";
import { ReadJson } from "./json-value.ts";
import type { StatisticsPlan } from "./plan.ts";

/** What makes a run another run; an unfinished file is gone on with when all of it is equal. */
export interface StatisticsRun {
  readonly model: string;
  readonly text: string;
  readonly options: string;
  readonly tool: string;
  /** Hash of the header, which says everything about the file but the statistics themselves. */
  readonly layout: string;
}

const FORMAT = "quern-statistics-journal";
const VERSION = 1;

/** Far more than a journal has. */
const MOST_BYTES = 2 ** 22;

/** What a run and another one are told apart by, for people, in the order in which it is looked at. */
const REASONS: Readonly<Record<keyof StatisticsRun, string>> = {
  model: "it is of another model",
  text: "it is of other texts or other windows of them",
  options: "its options are others",
  tool: "another program or version has begun it",
  layout: "it collects something else",
};

export function runOf({ description, layout }: StatisticsPlan): StatisticsRun {
  const { model, corpus, options, tool } = description;
  const hashes = [corpus.calibration.hash, corpus.holdOut?.hash ?? "none"];
  return {
    model: model.identity,
    text: hashes.join(" "),
    options: JSON.stringify(options),
    tool,
    layout: sha256Of(layout.header),
  };
}

/** The file beside a statistics file that says how far it has come. */
export function journalPathOf(path: string): string {
  return `${path}.journal`;
}

/** Notes which blocks are complete: either the old or the new journal is there, whatever happens. */
export async function writeJournal(params: {
  path: string;
  run: StatisticsRun;
  completed: ReadonlySet<number>;
}): Promise<void> {
  const { run, completed } = params;
  const path = journalPathOf(params.path);
  const text = JSON.stringify({ format: FORMAT, version: VERSION, run, completed: [...completed] });
  await reportingAs(path, async () => {
    const temporary = partialPathOf(path);
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(`${text}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  });
}

export async function removeJournal(path: string): Promise<void> {
  const journal = journalPathOf(path);
  await reportingAs(journal, async () => {
    await rm(journal, { force: true });
    await rm(partialPathOf(journal), { force: true });
  });
}

/** How far an earlier run has come with a file. */
export interface StatisticsProgress {
  /** Blocks that are complete. */
  readonly completed: ReadonlySet<number>;
  /** Whether the file has its final name already: all but the journal is done. */
  readonly isPlaced: boolean;
}

/**
 * Finds out how far an earlier run has come with a file.
 *
 * @returns undefined when there is nothing to go on with
 * @throws QuernError `STATISTICS_OTHER_RUN`, `STATISTICS_JOURNAL_INVALID`
 */
export async function findCompleted(params: {
  path: string;
  plan: StatisticsPlan;
  run: StatisticsRun;
}): Promise<StatisticsProgress | undefined> {
  const { path, plan, run } = params;
  const file = journalPathOf(path);
  const size = await sizeOf(file);
  if (size === undefined) return undefined;
  const { header } = plan.layout;
  const isPlaced =
    (await findOutputFile({ path, size: plan.fileSize, header, mayBePlaced: true })) === "placed";
  const partial = isPlaced ? plan.fileSize : await sizeOf(partialPathOf(path));
  if (partial === undefined) return undefined;
  const invalid = (problem: string): QuernError => {
    return new QuernError(
      "STATISTICS_JOURNAL_INVALID",
      `${file}: not the journal of an unfinished statistics file: ${problem}. Force or restart begins anew.`,
      { subject: { file } },
    );
  };
  if (size > MOST_BYTES) throw invalid(`it has ${size} bytes: expected at most ${MOST_BYTES}`);
  const json = ReadJson.parse({
    text: await reportingAs(file, () => readFile(file, "utf8")),
    place: "the journal",
    error: invalid,
  });
  if (json.member("format").string !== FORMAT || json.member("version").count !== VERSION) {
    throw invalid("its format is another one");
  }
  const found = json.member("run");
  for (const [key, reason] of Object.entries(REASONS)) {
    if (found.member(key).string === run[key as keyof StatisticsRun]) continue;
    throw new QuernError(
      "STATISTICS_OTHER_RUN",
      `${partialPathOf(path)}: an unfinished file lies here, and ${reason}. Finish it as it was begun, or force a new beginning.`,
      { subject: { file: partialPathOf(path), key } },
    );
  }
  if (partial !== plan.fileSize) {
    throw invalid(`the file it belongs to has ${partial} bytes: expected ${plan.fileSize}`);
  }
  const completed = json.member("completed").array.map(({ count }) => count);
  const strange = completed.find((block) => !plan.blocks.includes(block));
  if (strange !== undefined) throw invalid(`it names a block ${strange}, which there is not`);
  // A whole file beside the journal of a run that was not through is of another time.
  if (isPlaced && completed.length < plan.blocks.length) return undefined;
  return { completed: new Set(completed), isPlaced };
}

async function sizeOf(path: string): Promise<number | undefined> {
  const there = await stat(path).catch(() => undefined);
  return there?.isFile() === true ? there.size : undefined;
}
