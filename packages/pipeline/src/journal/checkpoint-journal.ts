import { type JournalKind, type JsonRecord, type RunParts, runPartsOf } from "@quern/tensor/node";

/** Beside the partial folder of a checkpoint; a digest for each part of what decides its bytes. What is noted is checked by who reads it. */
export const CHECKPOINT_JOURNAL: JournalKind<RunParts, JsonRecord> = {
  format: "quern-checkpoint-journal",
  version: 1,
  identityOf: runPartsOf,
  entryOf: (value) => value,
};

/** What is noted before a folder gets its name. */
export const FINISHING = { finishing: true } as const;

/** Whether a folder may have its name. */
export function isFinishing(entries: readonly JsonRecord[]): boolean {
  return entries.some(({ finishing }) => finishing === true);
}
