import { realpath, stat } from "node:fs/promises";
import { basename, join, resolve, sep } from "node:path";
import { QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { readShardedSafetensors, type ShardedSafetensors } from "safetensors-js";
import type { Checkpoint, CheckpointShard, CheckpointTensor } from "../checkpoint.ts";
import { findContained } from "./contained-path.ts";
import { directoryFiles } from "./directory-files.ts";
import { readTensor } from "./read-tensor.ts";
import { findWeightFiles } from "./weight-files.ts";

/**
 * Opens a folder with a model: reads and checks the headers of all shards, no weights. No file stays open.
 *
 * Links inside the folder may lead to other places in it or into the blobs of a Hub cache, nowhere else.
 *
 * @throws QuernError `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_NOT_A_FOLDER`, `CHECKPOINT_NO_SAFETENSORS` (PyTorch or other weights
 * only), `CHECKPOINT_NO_WEIGHTS`, `CHECKPOINT_PATH` (a link leads out of the folder), and what `readSafetensorsIndex` and
 * `readShardedSafetensors` throw (`SAFETENSORS_MISSING_SHARD`, `SAFETENSORS_MISSING_TENSOR`, `SAFETENSORS_TRUNCATED`, ...)
 */
export async function openCheckpointDirectory(path: string): Promise<Checkpoint> {
  const location = resolve(path);
  const root = await realFolder(path, location);
  const index = await findWeightFiles(root);
  const shards: CheckpointShard[] = [];
  const sharded = await readShardedSafetensors({
    index,
    open: async (name) => {
      const file = join(location, name);
      const target = await findContained(root, name);
      if (target === undefined) {
        throw new QuernError("SOURCE_NOT_FOUND", `${file}: no such file`, { subject: { file } });
      }
      const source = await fileSource({ path: target, name: file });
      shards.push({ name, path: target, size: source.size });
      return source;
    },
  });
  const tensors = collectTensors(sharded);
  await sharded.close();
  const name = checkpointName(location);
  shards.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name,
    location,
    files: directoryFiles({ location, root, name }),
    shards,
    tensors,
    readTensor: (tensor) => readTensor({ shards, tensors, name: tensor }),
    totalBytes: [...tensors.values()].reduce((total, { size }) => total + size, 0),
  };
}

/** Name of the folder; of the repository for a snapshot in a Hub cache (`models--<owner>--<name>/snapshots/<commit>`). */
function checkpointName(location: string): string {
  const parts = location.split(sep);
  const repository = /^models--(?:.*--)?(.+)$/.exec(parts.at(-3) ?? "");
  return repository !== null && parts.at(-2) === "snapshots" ? repository[1]! : basename(location);
}

async function realFolder(path: string, location: string): Promise<string> {
  let root: string;
  try {
    root = await realpath(location);
  } catch (cause) {
    throw new QuernError("CHECKPOINT_NOT_FOUND", `${path}: no such folder`, {
      subject: { file: path },
      cause,
    });
  }
  if ((await stat(root)).isDirectory()) return root;
  throw new QuernError("CHECKPOINT_NOT_A_FOLDER", `${path}: expected the folder of a model, found a file`, {
    subject: { file: path },
  });
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
