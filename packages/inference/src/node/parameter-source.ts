import { ShardReader } from "@quern/checkpoints/node";
import {
  loadParameterRows,
  loadParameters,
  type Parameter,
  type ParameterSet,
  type TensorReader,
} from "@quern/models";
import type { RunnableModel } from "../model.ts";

/** Reads weights of a model into memory that all threads see. */
export interface ParameterSource {
  /** Whole tensors, by GGUF name; names that the model lacks are left out. */
  load(names: readonly string[]): Promise<ParameterSet>;
  /** Rows of a matrix. @param rows Indices in ascending order. */
  loadRows(name: string, rows: readonly number[]): Promise<Parameter>;
  close(): Promise<void>;
}

/** Opens the files of a model when they are first needed. */
export function openParameters({ source, tensors }: RunnableModel): ParameterSource {
  const shards = new ShardReader(source.shards);
  const allocate = (size: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(size));
  const reader: TensorReader = shards.reading({ tensors: [...source.tensors.values()], buffer: allocate });
  return {
    async load(names) {
      const loaded = await loadParameters({ tensors, reader, names, allocate });
      return new Map([...loaded].map(([name, parameter]) => [name, shared(parameter)]));
    },
    async loadRows(name, rows) {
      return shared(await loadParameterRows({ tensor: tensors.get(name)!, reader, rows }));
    },
    close: () => shards.close(),
  };
}

/** Matrices lie in shared memory already; what is decoded to F32 does not. */
function shared(parameter: Parameter): Parameter {
  const { data } = parameter;
  if (data.buffer instanceof SharedArrayBuffer) return parameter;
  const buffer = new SharedArrayBuffer(data.byteLength);
  const copy = data instanceof Float32Array ? new Float32Array(buffer) : new Uint8Array(buffer);
  copy.set(data);
  return { ...parameter, data: copy };
}
