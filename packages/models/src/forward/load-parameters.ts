import { decodeElements } from "@quern/tensor";
import { evaluateRows } from "../expressions/evaluate.ts";
import type { TensorReader } from "../expressions/expression.ts";
import type { ModelTensor } from "../model.ts";
import type { Parameter, ParameterSet } from "./parameters.ts";

/**
 * Reads tensors of a described checkpoint or GGUF file, such as those that a block's graph lists. Matrices stay in the type that they are
 * stored in; norms, biases and whatever else GGUF keeps in F32 are computed in F32 from the start, so that one added to a norm's
 * weights is not rounded to the type of the checkpoint.
 *
 * @param params.allocate Gives memory for matrices that are put together from several tensors. Default: new arrays.
 * @throws QuernError the codes of `evaluateRows`
 */
export async function loadParameters(params: {
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly reader: TensorReader;
  readonly names: readonly string[];
  readonly allocate?: (size: number) => Uint8Array;
}): Promise<ParameterSet> {
  const { tensors, reader, names, allocate } = params;
  const loaded = new Map<string, Parameter>();
  for (const name of new Set(names)) {
    const tensor = tensors.get(name);
    if (tensor !== undefined)
      loaded.set(name, await load(tensor, reader, { rows: rowsOf(tensor), allocate }));
  }
  return loaded;
}

/**
 * Some rows of a matrix, in the order of `rows`: of a token embedding, those of the tokens that occur.
 *
 * @param params.rows Indices, one or more, in ascending order; rows in sequence are read at once.
 * @param params.allocate Gives memory for all of them.
 * @throws QuernError the codes of `evaluateRows`
 */
export async function loadParameterRows(params: {
  readonly tensor: ModelTensor;
  readonly reader: TensorReader;
  readonly rows: readonly number[];
  readonly allocate: (size: number) => Uint8Array;
}): Promise<Parameter> {
  const { tensor, reader, rows, allocate } = params;
  let all: Parameter | undefined;
  for (let first = 0; first < rows.length;) {
    let next = first + 1;
    while (rows[next] === rows[first]! + next - first) next += 1;
    const { type, data } = await load(tensor, reader, { firstRow: rows[first]!, rows: next - first });
    const rowLength = data.length / (next - first);
    all ??= {
      type,
      shape: [rows.length, tensor.shape.at(-1) ?? 1],
      data: inType(type, allocate((data.byteLength / (next - first)) * rows.length)),
    };
    all.data.set(data, first * rowLength);
    first = next;
  }
  return all!;
}

function rowsOf({ shape }: ModelTensor): number {
  return shape.slice(0, -1).reduce((product, size) => product * size, 1);
}

async function load(
  tensor: ModelTensor,
  reader: TensorReader,
  params: {
    readonly firstRow?: number;
    readonly rows: number;
    readonly allocate?: ((size: number) => Uint8Array) | undefined;
  },
): Promise<Parameter> {
  const { firstRow = 0, rows, allocate } = params;
  const { shape, storage, sourceType, expression } = tensor;
  const read = (from: TensorReader): Promise<Uint8Array> =>
    evaluateRows(expression, { reader: from, firstRow, rows, ...(allocate && { allocate }) });
  if (storage === "f32") return { type: "F32", shape, data: inType("F32", await read(widened(reader))) };
  const type = typeof storage === "object" ? storage.packed : sourceType;
  return { type, shape, data: inType(type, await read(reader)) };
}

/** Numbers where they lie, if they can be read there. */
function inType(type: string, bytes: Uint8Array): Parameter["data"] {
  if (type !== "F32") return bytes;
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

/** The checkpoint as if it were all in F32. */
function widened(reader: TensorReader): TensorReader {
  return {
    info: (name) => ({ ...reader.info(name), type: "F32" }),
    async readRows(name, start, count) {
      const bytes = await reader.readRows(name, start, count);
      return new Uint8Array(decodeElements({ type: reader.info(name).type, bytes }).buffer);
    },
  };
}
