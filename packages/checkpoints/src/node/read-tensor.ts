import { QuernError } from "@quern/tensor";
import type { CheckpointShard, CheckpointTensor } from "../checkpoint.ts";
import { ShardReader } from "./shard-reader.ts";

/** Most bytes of a tensor that is read whole: enough for what describes a layer, too little for weights. */
const LARGEST_SMALL_TENSOR = 1024 * 1024;

/**
 * Bytes of a small tensor. The file is opened and closed again.
 *
 * @throws QuernError `TENSOR_MISSING`, `CHECKPOINT_TENSOR_TOO_LARGE`, and what reading throws
 */
export async function readTensor(params: {
  shards: readonly CheckpointShard[];
  tensors: ReadonlyMap<string, CheckpointTensor>;
  name: string;
}): Promise<Uint8Array> {
  const { shards, tensors, name } = params;
  const tensor = tensors.get(name);
  if (tensor === undefined) {
    throw new QuernError("TENSOR_MISSING", `The checkpoint has no tensor "${name}"`, {
      subject: { tensor: name },
    });
  }
  if (tensor.size > LARGEST_SMALL_TENSOR) {
    throw new QuernError(
      "CHECKPOINT_TENSOR_TOO_LARGE",
      `"${name}" has ${tensor.size} bytes: expected at most ${LARGEST_SMALL_TENSOR} of a tensor that describes a layer`,
      { subject: { tensor: name } },
    );
  }
  const reader = new ShardReader(shards);
  try {
    const columns = tensor.shape.at(-1) ?? 1;
    const rows = tensor.shape.slice(0, -1).reduce((product, size) => product * size, 1);
    if (rows * columns === 0) return new Uint8Array(0);
    return await reader
      .reading({ tensors: [tensor], buffer: (size) => new Uint8Array(size) })
      .readRows(name, 0, rows);
  } finally {
    await reader.close();
  }
}
