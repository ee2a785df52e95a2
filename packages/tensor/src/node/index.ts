export { fileSource } from "./file-source.ts";
export { hashRange } from "./hash-range.ts";
export {
  createPartialFile,
  partialPathOf,
  reopenPartialFile,
  reportingAs,
  syncDirectory,
  writeAt,
} from "./output-file.ts";
export type { PartialFile } from "./output-file.ts";
export { checkOutputPlaces } from "./output-place.ts";
export type { OutputPlace } from "./output-place.ts";
export { createOutputSet } from "./output-set.ts";
export type { OutputSet, OutputSetFile } from "./output-set.ts";
