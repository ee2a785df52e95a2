import { stat } from "node:fs/promises";
import { QuernError } from "@quern/tensor";
import { partialPathOf } from "@quern/tensor/node";
import { journalPathOf, type FoundJournal, readLines } from "./read-journal.ts";
import { JOURNAL_VERSION } from "./records.ts";

/** What decides the bytes of a checkpoint: a digest for each part, by what people call it. */
export type RunIdentity = Readonly<Record<string, string>>;

/** "format" of journals of checkpoints. */
export const CHECKPOINT_FORMAT = "quern-checkpoint-journal";

/** What the journal of a checkpoint says. */
export interface CheckpointJournalState extends FoundJournal {
  /** Of the run; undefined where another program has written it. */
  readonly identity: RunIdentity | undefined;
  /** Whatever it has noted, in its order; not checked. */
  readonly entries: readonly unknown[];
}

/**
 * Reads what an earlier run has noted.
 *
 * @returns undefined where there is no journal
 * @throws QuernError the codes of `readLines`
 */
export async function readCheckpointJournal(path: string): Promise<CheckpointJournalState | undefined> {
  const lines = await readLines(path, parse);
  if (lines === undefined) return undefined;
  const { first, records: entries, owner, bytes } = lines;
  return { path, owner, bytes, identity: identityOf(parse(first)), entries };
}

/** What is noted before a folder gets its name. */
export const FINISHING = { finishing: true } as const;

/**
 * Whether the folder of a run has its name, and the run ended before the journal was gone: the next one finishes that.
 *
 * @param path Of the folder.
 * @throws QuernError the codes of `readLines`
 */
export async function isPlacedUnnoted(path: string): Promise<boolean> {
  const isFolder = async (name: string): Promise<boolean> =>
    stat(name).then(
      (there) => there.isDirectory(),
      () => false,
    );
  if (!(await isFolder(path)) || (await isFolder(partialPathOf(path)))) return false;
  const entries = (await readCheckpointJournal(journalPathOf(path)))?.entries ?? [];
  return entries.some((entry) => (entry as Partial<typeof FINISHING> | null)?.finishing === true);
}

/**
 * Checks that a journal is of this very run.
 *
 * @throws QuernError `RESUME_OTHER_RUN`, whose subject names the parts that differ as key
 */
export function checkSameRun({ path, identity }: CheckpointJournalState, ours: RunIdentity): void {
  const parts = identity === undefined ? ["tool"] : differingParts(ours, identity);
  if (parts.length === 0) return;
  throw new QuernError(
    "RESUME_OTHER_RUN",
    `${path}: an unfinished run lies here, and it differs in ${parts.join(", ")}. Finish it as it was begun, or restart to throw it away.`,
    { subject: { file: path, key: parts.join(", ") } },
  );
}

function differingParts(ours: RunIdentity, theirs: RunIdentity): string[] {
  const parts = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  return [...parts].filter((part) => ours[part] !== theirs[part]);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

function identityOf(head: unknown): RunIdentity | undefined {
  const { format, version, identity } = (head ?? {}) as Record<string, unknown>;
  if (format !== CHECKPOINT_FORMAT || version !== JOURNAL_VERSION) return undefined;
  if (typeof identity !== "object" || identity === null) return undefined;
  const parts = Object.entries(identity);
  return parts.every(([, digest]) => typeof digest === "string") ? Object.fromEntries(parts) : undefined;
}
