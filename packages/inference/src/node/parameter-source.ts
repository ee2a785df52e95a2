import { ShardReader } from "@quern/checkpoints/node";
import {
  foldTensor,
  joinChanges,
  loadParameterRows,
  loadParameters,
  type Parameter,
  type ParameterSet,
  type TensorReader,
  type WeightChanges,
} from "@quern/models";
import { BufferPool } from "@quern/threads";
import type { RunnableModel } from "../model.ts";

/** Reads weights of a model into memory that all threads see. */
export interface ParameterSource {
  /** Whole tensors, by GGUF name; names that the model lacks are left out. */
  load(names: readonly string[]): Promise<ParameterSet>;
  /** Rows of a matrix. @param rows Indices in ascending order. */
  loadRows(name: string, rows: readonly number[]): Promise<Parameter>;
  /** Tensors of the checkpoint are others from now on: whatever is loaded, is made from what they become. */
  change(changes: WeightChanges): void;
  /** Numbers of one's own in place of a tensor. @param params.shape Row-major. */
  share(params: { readonly values: Float32Array; readonly shape: readonly number[] }): Parameter;
  /** The memory of parameters is used for others from now on: nothing may use them any more. */
  release(parameters: ParameterSet): void;
  /** Memory that has been released is kept for nothing any more. */
  shrink(): void;
  /** Closes the files of the model. */
  close(): Promise<void>;
}

/** Opens the files of a model when they are first needed. */
export function openParameters({ source, tensors: described }: RunnableModel): ParameterSource {
  let tensors = described;
  let changed: WeightChanges = new Map();
  const shards = new ShardReader(source.shards);
  const all = [...source.tensors.values()];
  const pool = new BufferPool();
  const rowReader = shards.reading({ tensors: all, buffer: (size) => new Uint8Array(size) });

  const load = async (name: string): Promise<ParameterSet> => {
    const taken = new Set<SharedArrayBuffer>();
    const allocate = (size: number): Uint8Array => {
      const buffer = pool.take(size);
      taken.add(buffer);
      return new Uint8Array(buffer);
    };
    const reader: TensorReader = shards.reading({ tensors: all, buffer: allocate });
    const loaded = await loadParameters({ tensors, reader, names: [name], allocate });
    const result = new Map([...loaded].map(([key, parameter]) => [key, shared(parameter, pool)]));
    // What has been read to be made into something else is of no use any more.
    for (const { data } of result.values()) taken.delete(data.buffer as SharedArrayBuffer);
    for (const buffer of taken) pool.give(buffer);
    return result;
  };
  return {
    async load(names) {
      const loaded = new Map<string, Parameter>();
      for (const name of new Set(names)) {
        for (const [key, parameter] of await load(name)) loaded.set(key, parameter);
      }
      return loaded;
    },
    async loadRows(name, rows) {
      const allocate = (size: number): Uint8Array => new Uint8Array(pool.take(size));
      return loadParameterRows({ tensor: tensors.get(name)!, reader: rowReader, rows, allocate });
    },
    change(changes) {
      changed = joinChanges(changed, changes);
      tensors = new Map([...described].map(([name, tensor]) => [name, foldTensor(tensor, changed)]));
    },
    share({ values, shape }) {
      const data = new Float32Array(pool.take(values.byteLength));
      data.set(values);
      return { type: "F32", shape, data };
    },
    release(parameters) {
      for (const { data } of parameters.values()) pool.give(data.buffer as SharedArrayBuffer);
    },
    shrink: () => pool.clear(),
    close: () => shards.close(),
  };
}

/** Matrices lie in shared memory already; what is decoded to F32 does not. */
function shared(parameter: Parameter, pool: BufferPool): Parameter {
  const { data } = parameter;
  if (data.buffer instanceof SharedArrayBuffer) return parameter;
  const buffer = pool.take(data.byteLength);
  const copy = data instanceof Float32Array ? new Float32Array(buffer) : new Uint8Array(buffer);
  copy.set(data);
  return { ...parameter, data: copy };
}
