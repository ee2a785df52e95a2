export { fileSource } from "./file-source.ts";
export { checksumRange, hashRange } from "./hash-range.ts";
export {
  checkName,
  createPartialFile,
  partialPathOf,
  reopenPartialFile,
  reopenPlacedFile,
  reportingAs,
  syncDirectory,
  writeAt,
} from "./output-file.ts";
export type { PartialFile } from "./output-file.ts";
export { findOutputFile } from "./find-output-file.ts";
export { checkOutputPlaces } from "./output-place.ts";
export type { OutputPlace } from "./output-place.ts";
export { sha256Of } from "./sha256.ts";
export { createOutputSet, resumeOutputSet } from "./output-set.ts";
export type { OutputSet, OutputSetFile } from "./output-set.ts";
export { Journal } from "./journal/journal.ts";
export { differingParts, isCount, isRecord, runPartsOf } from "./journal/kind.ts";
export type { JournalKind, JsonRecord, RunParts } from "./journal/kind.ts";
export { checkUnused, journalPathOf, readJournal } from "./journal/read-journal.ts";
export type { FoundJournal } from "./journal/read-journal.ts";
