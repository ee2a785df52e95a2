import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join, resolve, sep } from "node:path";
import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import type { Checkpoint, LocalFileLocation } from "../checkpoint.ts";
import { findContained } from "./contained-path.ts";
import { directoryFiles } from "./directory-files.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
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
  const files = directoryFiles({ location, root, name: checkpointName(location) });
  const open = async (
    name: string,
  ): Promise<{ location: LocalFileLocation; source: ByteSource } | undefined> => {
    const path = await findContained(root, name);
    if (path === undefined) return undefined;
    return {
      location: { kind: "file", path },
      source: await fileSource({ path, name: join(location, name) }),
    };
  };
  const index = await findWeightFiles({
    name: root,
    list: () => readdir(root),
    open: async (name) => (await open(name))?.source,
  });
  return openCheckpoint({
    location,
    folder: location,
    files,
    index,
    openShard: async (name) => {
      const shard = await open(name);
      if (shard !== undefined) return shard;
      const file = join(location, name);
      throw new QuernError("SOURCE_NOT_FOUND", `${file}: no such file`, { subject: { file } });
    },
  });
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
