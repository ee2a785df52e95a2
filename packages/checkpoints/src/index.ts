export type { Checkpoint, CheckpointFileSet, CheckpointShard, CheckpointTensor } from "./checkpoint.ts";
export type { GgufModel, GgufModelTensor } from "./gguf-model.ts";
