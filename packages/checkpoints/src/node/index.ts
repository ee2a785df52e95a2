export { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
export { openGgufModel } from "./open-gguf-model.ts";
export { openModel } from "./open-model.ts";
export { ShardReader } from "./shard-reader.ts";
export type { ShardTensorReader } from "./shard-reader.ts";
