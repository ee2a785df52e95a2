export { DEFAULT_ENDPOINT, hubAccess } from "./access.ts";
export type { HubAccess } from "./access.ts";
export { hubFileName, openHubFile } from "./hub-file.ts";
export type { HubFileLocation, HubPatience } from "./hub-file.ts";
export { openRepository } from "./open-repository.ts";
export type { HubRepository } from "./open-repository.ts";
export { readHubFile } from "./read-hub-file.ts";
export { hasHubPrefix, isWebAddress, looksLikeRepository, parseHubReference } from "./reference.ts";
export type { HubReference } from "./reference.ts";
