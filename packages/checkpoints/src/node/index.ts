export { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
export { openHubCheckpoint } from "./open-hub-checkpoint.ts";
export type { HubCheckpointOptions } from "./open-hub-checkpoint.ts";
export { openGgufModel } from "./open-gguf-model.ts";
export { openModel } from "./open-model.ts";
export { ShardReader } from "./shard-reader.ts";
export type { ShardTensorReader } from "./shard-reader.ts";
export { localPaths, remoteBytes, shardVersion } from "./shard-locations.ts";
