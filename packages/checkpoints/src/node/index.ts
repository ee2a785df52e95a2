export { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
export { openHubCheckpoint } from "./open-hub-checkpoint.ts";
export type { HubCheckpointOptions } from "./open-hub-checkpoint.ts";
export { openGgufModel } from "./open-gguf-model.ts";
export { openModel } from "./open-model.ts";
export { localPaths, remoteBytes, shardVersion } from "./shard-locations.ts";
export { ShardReader } from "./shards.ts";
export type { ShardTensorReader } from "./shards.ts";
