import { type ByteSource, QuernError } from "@quern/tensor";
import { readSafetensors, type SafetensorsFile } from "../read/file.ts";
import type { SafetensorsIndex } from "./sharded-index.ts";
import type { SafetensorsTensor } from "../read/tensor.ts";

/** Shards opened at the same time: enough to hide the latency of a remote store, few enough not to be throttled. */
const PARALLEL_OPENS = 8;

/** All shards of a checkpoint as one collection of tensors. */
export interface ShardedSafetensors {
  readonly index: SafetensorsIndex;
  /** Open shards by file name. */
  readonly files: ReadonlyMap<string, SafetensorsFile>;
  /** Tensors by name: those of the index in its order, then those that only a shard names. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Closes every shard. */
  close(): Promise<void>;
}

/**
 * Opens every shard that an index names and checks that each tensor is where the index says.
 *
 * Tensors of a shard that the index does not name are part of the checkpoint too, as in transformers, which loads whole
 * shards. Where the index names a tensor that several shards hold, the index decides.
 *
 * @param params.open Opens a shard by its file name, beside the index.
 * @throws QuernError `SAFETENSORS_MISSING_SHARD` when `open` throws `SOURCE_NOT_FOUND`, `SAFETENSORS_MISSING_TENSOR` when the
 * index points at a tensor that its shard lacks, `SAFETENSORS_DUPLICATE_TENSOR` when two shards hold a tensor that the index
 * does not name, and what `readSafetensors` throws. Shards already open are closed first.
 */
export async function readShardedSafetensors(params: {
  index: SafetensorsIndex;
  open: (fileName: string) => Promise<ByteSource>;
}): Promise<ShardedSafetensors> {
  const { index, open } = params;
  const opened = new Map<string, SafetensorsFile>();
  const close = async (): Promise<void> => {
    await Promise.all([...opened.values()].map((file) => file.close()));
  };
  try {
    await openAll(index, open, opened);
    const files = new Map(index.fileNames.map((fileName) => [fileName, opened.get(fileName)!]));
    return { index, files, tensors: collectTensors(index, files), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openAll(
  index: SafetensorsIndex,
  open: (fileName: string) => Promise<ByteSource>,
  opened: Map<string, SafetensorsFile>,
): Promise<void> {
  const queue = [...index.fileNames];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let fileName = queue.shift(); fileName !== undefined; fileName = queue.shift()) {
      try {
        opened.set(fileName, await openShard(index, fileName, open));
      } catch (error) {
        queue.length = 0;
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_OPENS }, worker));
  if (failures.length > 0) throw failures[0];
}

async function openShard(
  index: SafetensorsIndex,
  fileName: string,
  open: (fileName: string) => Promise<ByteSource>,
): Promise<SafetensorsFile> {
  let source: ByteSource;
  try {
    source = await open(fileName);
  } catch (cause) {
    if (!(cause instanceof QuernError) || cause.code !== "SOURCE_NOT_FOUND") throw cause;
    throw new QuernError(
      "SAFETENSORS_MISSING_SHARD",
      `${index.name}: the shard ${JSON.stringify(fileName)} is missing: ${cause.message}`,
      { subject: { file: fileName }, cause },
    );
  }
  try {
    return await readSafetensors(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

function collectTensors(
  index: SafetensorsIndex,
  files: ReadonlyMap<string, SafetensorsFile>,
): Map<string, SafetensorsTensor> {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, fileName] of index.weightMap) {
    const tensor = files.get(fileName)!.tensors.get(name);
    if (tensor === undefined) {
      throw new QuernError(
        "SAFETENSORS_MISSING_TENSOR",
        `${index.name}: the index says that tensor ${JSON.stringify(name)} is in ${JSON.stringify(fileName)}, but that shard lacks it`,
        { subject: { file: fileName, tensor: name } },
      );
    }
    tensors.set(name, tensor);
  }
  for (const [fileName, file] of files) {
    for (const [name, tensor] of file.tensors) {
      if (index.weightMap.has(name)) continue;
      const other = tensors.get(name);
      if (other !== undefined) {
        throw new QuernError(
          "SAFETENSORS_DUPLICATE_TENSOR",
          `${index.name}: tensor ${JSON.stringify(name)} is in ${JSON.stringify(other.file)} and in ${JSON.stringify(fileName)}, and the index does not say which counts`,
          { subject: { file: fileName, tensor: name } },
        );
      }
      tensors.set(name, tensor);
    }
  }
  return tensors;
}
