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
 * @throws QuernError the codes of `evaluateRows`
 */
export async function loadParameters(params: {
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly reader: TensorReader;
  readonly names: readonly string[];
}): Promise<ParameterSet> {
  const { tensors, reader, names } = params;
  const loaded = new Map<string, Parameter>();
  for (const name of new Set(names)) {
    const tensor = tensors.get(name);
    if (tensor !== undefined) loaded.set(name, await load(tensor, reader));
  }
  return loaded;
}

async function load(tensor: ModelTensor, reader: TensorReader): Promise<Parameter> {
  const { shape, storage, sourceType, expression } = tensor;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const read = (from: TensorReader): Promise<Uint8Array> =>
    evaluateRows(expression, { reader: from, firstRow: 0, rows });
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
