export type { Checkpoint, CheckpointFileSet, CheckpointShard, CheckpointTensor } from "./checkpoint.ts";
