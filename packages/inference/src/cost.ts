import { expressionMemory, expressionType, type LinearInputs, type ModelTensor } from "@quern/models";
import { byteSize } from "@quern/tensor";
import type { RunnableModel } from "./model.ts";

/** Bytes of parameters as `ParameterSource` loads them. */
export function parameterBytes(model: RunnableModel, names: readonly string[]): number {
  let bytes = 0;
  for (const name of new Set(names)) {
    const tensor = model.tensors.get(name);
    if (tensor !== undefined) bytes += tensorBytes(model, tensor);
  }
  return bytes;
}

function tensorBytes({ source }: RunnableModel, { shape, storage, expression }: ModelTensor): number {
  if (storage === "f32") return byteSize({ type: "F32", shape });
  return byteSize(expressionType(expression, { info: (name) => source.tensors.get(name)! }));
}

/**
 * Bytes of the buffers that a `ParameterSource` has when it has loaded sets of parameters one after another, each of which was released before the
 * next. Memory is used again for what has the same size; what weights are made from, such as codes that are dequantized, has buffers as well.
 */
export function parameterBuffers(model: RunnableModel, sets: readonly (readonly string[])[]): number {
  const buffers = new Map<number, number>();
  for (const names of sets) {
    const loaded = new Map<number, number>();
    for (const name of new Set(names)) {
      const tensor = model.tensors.get(name);
      if (tensor === undefined) continue;
      const sizes = memoryOf(model, tensor).allocated;
      for (const size of new Set(sizes)) {
        const count = (loaded.get(size) ?? 0) + sizes.filter((one) => one === size).length;
        buffers.set(size, Math.max(buffers.get(size) ?? 0, count));
      }
      const kept = tensorBytes(model, tensor);
      loaded.set(kept, (loaded.get(kept) ?? 0) + 1);
      buffers.set(kept, Math.max(buffers.get(kept) ?? 0, loaded.get(kept)!));
    }
  }
  return sum([...buffers].map(([size, count]) => size * count));
}

/** Memory outside its heap after which the garbage collector of Node looks at what is young: two halves of its space for that (V8, 64 bits). */
const YOUNG_BYTES = 2 * 16 * 2 ** 20;

/** Most bytes that wait for the garbage collector while a model is loaded: arrays that weights are unpacked to. */
export function parameterGarbage(model: RunnableModel): number {
  const bytes = Array.from(model.tensors.values(), (tensor) => memoryOf(model, tensor).own);
  return Math.min(sum(bytes), Math.max(YOUNG_BYTES, 2 * Math.max(...bytes)));
}

/** Bytes of a tensor of which only some rows are loaded. */
export function rowBytes(model: RunnableModel, name: string, rows: number): number {
  const tensor = model.tensors.get(name)!;
  return (tensorBytes(model, tensor) / tensor.shape[0]!) * rows;
}

function memoryOf(
  { source }: RunnableModel,
  { expression }: ModelTensor,
): ReturnType<typeof expressionMemory> {
  return expressionMemory(expression, { info: (name) => source.tensors.get(name)! });
}

/** Floating-point operations of the linear layers for each token: of every block, and of the layer that makes logits. */
export function linearOperations(model: RunnableModel): {
  readonly blocks: readonly number[];
  readonly output: number;
} {
  const { inputs, outputInputs } = model;
  return {
    blocks: inputs.map((groups) => inputOperations(model, groups)),
    output: outputInputs === undefined ? 0 : inputOperations(model, [outputInputs]),
  };
}

/** Floating-point operations, for each token, of the linear layers that read some inputs. */
export function inputOperations({ tensors }: RunnableModel, inputs: readonly LinearInputs[]): number {
  return sum(
    inputs.map(({ modules, rowsPerToken, matrices }) => {
      const elements = modules.map((module) => elementsOf(tensors.get(`${module}.weight`)));
      return (2 * sum(elements) * rowsPerToken) / matrices;
    }),
  );
}

/**
 * Floating-point operations of attention, of every block, for a window of some tokens: products of queries with keys, and of their
 * weights with values.
 */
export function attentionOperations({ graph }: RunnableModel, tokens: number): number[] {
  return graph.blocks.map(({ attention }) => {
    if (attention.kind === "latent") {
      const { heads, keyValueDown, keyValueNorm } = attention;
      return 2 * heads * causalPairs(tokens, tokens) * (keyValueDown.outputs + keyValueNorm.size);
    }
    const { heads, headSize, valueSize, bidirectional, window = tokens } = attention;
    const pairs = bidirectional ? tokens * tokens : causalPairs(tokens, Math.min(window, tokens));
    return 2 * heads * pairs * (headSize + valueSize);
  });
}

/** Pairs of a token and one that it sees: of itself and those before, the last `window`. */
function causalPairs(tokens: number, window: number): number {
  return tokens * window - (window * (window - 1)) / 2;
}

function elementsOf(tensor: ModelTensor | undefined): number {
  return tensor === undefined ? 0 : tensor.shape.reduce((product, size) => product * size, 1);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
