export { hashFile } from "./hash-file.ts";
export type { FileHashes, Region } from "./hash-file.ts";
export { readManifest, writeManifest } from "./manifest-file.ts";
