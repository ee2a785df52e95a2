import type { ByteSource } from "@quern/tensor";
import { readShardedSafetensors, type SafetensorsIndex, type ShardedSafetensors } from "safetensors-js";
import type { Checkpoint, CheckpointFileSet, CheckpointShard, CheckpointTensor } from "../checkpoint.ts";
import { readTensor } from "./read-tensor.ts";

/**
 * Reads and checks the headers of all shards, wherever they are. No file stays open.
 *
 * @param params.openShard Opens a shard by its file name.
 * @throws QuernError what `readShardedSafetensors` throws
 */
export async function openCheckpoint(params: {
  readonly location: string;
  readonly folder?: string;
  readonly files: CheckpointFileSet;
  readonly index: SafetensorsIndex;
  readonly openShard: (
    name: string,
  ) => Promise<Omit<CheckpointShard, "name" | "size"> & { source: ByteSource }>;
}): Promise<Checkpoint> {
  const { location, folder, files, index, openShard } = params;
  const shards: CheckpointShard[] = [];
  const sharded = await readShardedSafetensors({
    index,
    open: async (name) => {
      const { source, ...shard } = await openShard(name);
      shards.push({ name, size: source.size, ...shard });
      return source;
    },
  });
  const tensors = collectTensors(sharded);
  await sharded.close();
  shards.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name: files.name,
    location,
    ...(folder === undefined ? {} : { folder }),
    files,
    shards,
    tensors,
    readTensor: (tensor) => readTensor({ shards, tensors, name: tensor }),
    totalBytes: [...tensors.values()].reduce((total, { size }) => total + size, 0),
  };
}

/** Shard by shard, by name within each: the order in which llama.cpp's converter sees them. */
function collectTensors({ files, tensors }: ShardedSafetensors): Map<string, CheckpointTensor> {
  const ordered = new Map<string, CheckpointTensor>();
  for (const [shard, file] of files) {
    for (const name of [...file.tensors.keys()].sort()) {
      const tensor = file.tensors.get(name)!;
      // A name that several shards hold counts in the one that the index names.
      if (tensors.get(name) !== tensor) continue;
      ordered.set(name, { ...tensor.info, shard, offset: tensor.offset, size: tensor.size });
    }
  }
  return ordered;
}
