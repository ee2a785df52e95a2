import { expressionType, type LinearInputs, type ModelTensor } from "@quern/models";
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
