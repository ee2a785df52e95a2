export { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
export { openGgufModel } from "./open-gguf-model.ts";
export { openModel } from "./open-model.ts";
export { ShardReader } from "./shards.ts";
export type { ShardTensorReader } from "./shards.ts";
