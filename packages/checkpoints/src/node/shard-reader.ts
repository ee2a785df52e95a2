import { type ByteSource, elementCount, QuernError } from "@quern/tensor";
import type { CheckpointShard, CheckpointTensor } from "../checkpoint.ts";
import { openShard } from "./shard-locations.ts";

/** Reads rows of tensors by name. */
export interface ShardTensorReader {
  /** What the headers say of a tensor. */
  info(name: string): CheckpointTensor;
  /** Bytes of `count` rows from row `start` on; all dimensions but the last count as rows. */
  readRows(name: string, start: number, count: number): Promise<Uint8Array>;
}

/** Reads rows of the tensors of a checkpoint, opening each shard once, when it is first needed. */
export class ShardReader {
  readonly #shards: ReadonlyMap<string, CheckpointShard>;
  readonly #open = new Map<string, Promise<ByteSource>>();
  #closed = false;

  constructor(shards: readonly CheckpointShard[]) {
    this.#shards = new Map(shards.map((shard) => [shard.name, shard]));
  }

  /**
   * A reader of these tensors.
   *
   * @param params.buffer Gives the memory for a read.
   */
  reading(params: {
    tensors: readonly CheckpointTensor[];
    buffer: (size: number) => Uint8Array;
  }): ShardTensorReader {
    const { tensors, buffer } = params;
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const find = (name: string): CheckpointTensor => {
      const tensor = byName.get(name);
      if (tensor !== undefined) return tensor;
      throw new QuernError("TENSOR_MISSING", `The checkpoint has no tensor "${name}"`, {
        subject: { tensor: name },
      });
    };
    return {
      info: find,
      readRows: async (name, start, count) => {
        const tensor = find(name);
        const columns = tensor.shape.at(-1) ?? 1;
        const rows = columns === 0 ? 0 : elementCount(tensor.shape) / columns;
        const rowSize = rows === 0 ? 0 : tensor.size / rows;
        const size = count * rowSize;
        const shard = await this.#source(tensor.shard);
        return shard.read(tensor.offset + start * rowSize, size, buffer(size));
      },
    };
  }

  /** Reads that are under way end or fail. */
  async close(): Promise<void> {
    this.#closed = true;
    const opened = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    const sources = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    await Promise.all(sources.map((source) => source.close()));
  }

  async #source(name: string): Promise<ByteSource> {
    let source = this.#open.get(name);
    if (source === undefined) {
      if (this.#closed) {
        throw new QuernError("SOURCE_CLOSED", `${name}: read after close`, { subject: { file: name } });
      }
      source = openShard(this.#shards.get(name)!);
      this.#open.set(name, source);
    }
    return source;
  }
}
