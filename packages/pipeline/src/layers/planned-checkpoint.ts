import { basename, join } from "node:path";
import { type Checkpoint, type CheckpointFileSet, type CheckpointTensor, formatOf } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import type { CheckpointPlan } from "./plan.ts";

/**
 * The folder that a plan makes, as it opens once it is there: what can be found out about it before anything is written. Of tensors it has
 * those that only say what layers are, with 1 for scales that come of weights; nothing else can be read.
 */
export function plannedCheckpoint(plan: CheckpointPlan): Checkpoint {
  const { folder, checkpoint } = plan;
  const shards = checkpoint.shards.shards.map(({ fileName, layout }) => ({
    name: fileName,
    location: { kind: "file", path: join(folder, fileName) } as const,
    size: layout.fileSize,
  }));
  const tensors = new Map<string, CheckpointTensor>();
  for (const { fileName, layout } of checkpoint.shards.shards) {
    for (const name of [...layout.tensors.keys()].sort()) {
      const { info, offset, size } = layout.tensors.get(name)!;
      tensors.set(name, { ...info, shard: fileName, offset, size });
    }
  }
  const known = informativeParts(plan);
  return {
    name: basename(folder),
    location: folder,
    folder,
    files: plannedFiles(plan),
    shards,
    tensors,
    totalBytes: [...tensors.values()].reduce((sum, { size }) => sum + size, 0),
    async readTensor(name) {
      const bytes = known.get(name);
      if (bytes !== undefined) return bytes();
      throw new QuernError("TENSOR_MISSING", `"${name}" is not written yet`, { subject: { tensor: name } });
    },
  };
}

/** What makes bytes of tensors, by name. */
function informativeParts({ stages }: CheckpointPlan): Map<string, () => Uint8Array> {
  const layers = stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers));
  return new Map(
    layers.flatMap(({ linear: { module }, decision, layer }) =>
      formatOf(decision.format)
        .parts(layer)
        .flatMap(({ suffix, informative }) =>
          informative === undefined ? [] : [[module + suffix, informative] as const],
        ),
    ),
  );
}

/** Those of the source that are copied, and those that are made. */
function plannedFiles({ folder, checkpoint, model }: CheckpointPlan): CheckpointFileSet {
  const { files: source } = model.checkpoint;
  const copies = new Set(checkpoint.copies);
  return {
    name: basename(folder),
    has: (path) => checkpoint.files.has(path) || (copies.has(path) && source.has(path)),
    size: (path) =>
      checkpoint.files.get(path)?.byteLength ?? (copies.has(path) ? source.size(path) : undefined),
    read: async (path) => checkpoint.files.get(path) ?? (copies.has(path) ? source.read(path) : undefined),
    list(folderName) {
      const prefix = folderName === "" ? "" : `${folderName}/`;
      const names = [...checkpoint.files.keys(), ...copies].flatMap((path) =>
        path.startsWith(prefix) ? [path.slice(prefix.length)] : [],
      );
      return [...new Set(names)].filter((name) => !name.includes("/"));
    },
  };
}
