export type { HubCache } from "./cache-layout.ts";
export { findCachedFile } from "./cached-file.ts";
export { keepRepository, openCachedRepository } from "./cached-repository.ts";
export { hubAccessOf, hubCacheFolder, hubTokenFile, isOffline } from "./environment.ts";
export { keepHubFile } from "./keep-file.ts";
export { openStoredFile, readStoredFile } from "./open-stored-file.ts";
export { sendByNode } from "./send-by-node.ts";
export { sharedReading, shareReading } from "./thread-access.ts";
export type { HubReading } from "./thread-access.ts";
