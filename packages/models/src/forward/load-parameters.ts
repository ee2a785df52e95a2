import { decodeElements, type ElementType } from "@quern/tensor";
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
 * @param params.rows Indices, in ascending order; rows in sequence are read at once.
 * @throws QuernError the codes of `evaluateRows`
 */
export async function loadParameterRows(params: {
  readonly tensor: ModelTensor;
  readonly reader: TensorReader;
  readonly rows: readonly number[];
}): Promise<Parameter> {
  const { tensor, reader, rows } = params;
  const parts: Parameter["data"][] = [];
  let type = "F32";
  for (let first = 0; first < rows.length;) {
    let next = first + 1;
    while (rows[next] === rows[first]! + next - first) next += 1;
    const part = await load(tensor, reader, { firstRow: rows[first]!, rows: next - first });
    parts.push(part.data);
    type = part.type;
    first = next;
  }
  const length = parts.reduce((total, part) => total + part.length, 0);
  const data = type === "F32" ? new Float32Array(length) : new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    data.set(part, offset);
    offset += part.length;
  }
  return { type, shape: [rows.length, tensor.shape.at(-1) ?? 1], data };
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
  if (storage === "f32") return { type: "F32", shape, data: toFloat32(await read(widened(reader)), "F32") };
  const data = await read(reader);
  const type = typeof storage === "object" ? storage.packed : sourceType;
  return { type, shape, data: type === "F32" ? toFloat32(data, type) : data };
}

/** The checkpoint as if it were all in F32. */
function widened(reader: TensorReader): TensorReader {
  return {
    info: (name) => ({ ...reader.info(name), type: "F32" }),
    async readRows(name, start, count) {
      const bytes = await reader.readRows(name, start, count);
      return new Uint8Array(toFloat32(bytes, reader.info(name).type).buffer);
    },
  };
}

function toFloat32(bytes: Uint8Array, type: ElementType): Float32Array {
  return decodeElements({ type, bytes });
}
