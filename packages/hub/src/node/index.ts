export { findCachedFile } from "./cached-file.ts";
export { hubAccessOf, hubCacheFolder, hubTokenFile } from "./environment.ts";
export { shareAccess, sharedAccess } from "./thread-access.ts";
