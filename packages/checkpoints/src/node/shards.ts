// Reading weights by itself: `@quern/checkpoints/node/shards`, for threads that open no model.
export { ShardReader } from "./shard-reader.ts";
export type { ShardTensorReader } from "./shard-reader.ts";
