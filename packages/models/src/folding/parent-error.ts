import type { TensorInfo } from "@quern/tensor";
import type { TensorReader } from "../expressions/expression.ts";
import { weightNames } from "../expressions/tensor-nodes.ts";
import type { ForwardKernels } from "../forward/kernels.ts";
import { loadParameters } from "../forward/load-parameters.ts";
import { parameterOf, type ParameterSet } from "../forward/parameters.ts";
import type { ModelTensor } from "../model.ts";
import { applyParent, type FoldingParent, type ParentInput } from "./parent.ts";
import { rowOrigins } from "./row-origins.ts";

export interface ParentErrorsParams {
  readonly parent: FoldingParent;
  /** Those of `parent.tensors`. */
  readonly tensors: readonly ModelTensor[];
  /** Reads the checkpoint. */
  readonly reader: TensorReader;
  /** Tensors of the checkpoint that go into them; of quantized layers the weight that is meant. */
  readonly weights: readonly TensorInfo[];
  /** Names in the checkpoint of the weights that change, stored as outputs x inputs. */
  readonly layers: readonly string[];
  readonly input: ParentInput;
  readonly kernels: ForwardKernels;
}

/**
 * What the output of a parent loses when layers inside change: ||f(X) - f'(X)||^2 / ||f(X)||^2, by its forward pass over some inputs. AWQ
 * compares candidates so (Lin et al. 2024; `auto_scale.py` of llm-awq, `module2inspect`).
 *
 * @returns the error, a function of what the weights of the layers have become, in their order and as the checkpoint has them
 * @throws QuernError as `loadParameters`; the function, the codes of `evaluateBlock`
 */
export async function parentErrors(
  params: ParentErrorsParams,
): Promise<(changed: readonly Float32Array[]) => number> {
  const { parent, reader, layers, weights, input, kernels } = params;
  const numbers = new Map(layers.map((name, index) => [name, index]));
  const tensors = params.tensors.map(
    (tensor): { readonly tensor: ModelTensor; readonly changes: boolean } => {
      const changes = weightNames(tensor.expression).some((name) => numbers.has(name));
      return { tensor: changes ? { ...tensor, storage: "f32" } : tensor, changes };
    },
  );
  const parameters = await loadParameters({
    tensors: new Map(tensors.map(({ tensor }) => [tensor.name, tensor])),
    reader,
    names: parent.tensors,
  });
  const infos = new Map(weights.map((info) => [info.name, info]));
  const places = tensors.flatMap(({ tensor, changes }) =>
    changes ? [placeOf(tensor, { parameters, numbers, infos })] : [],
  );
  const run = (): Float32Array => applyParent({ kernels, parameters }, parent, input);
  const expected = run();
  const signal = expected.reduce((sum, value) => sum + value * value, 0) || 1;
  return (changed) => {
    for (const place of places) replaceRows(place, changed);
    const actual = run();
    return expected.reduce((sum, value, index) => sum + (value - actual[index]!) ** 2, 0) / signal;
  };
}

/** Where rows of layers go. */
interface Place {
  readonly data: Float32Array;
  readonly columns: number;
  /** For each row the number of the layer that it comes from, -1 where it stays; and which of its rows it is. */
  readonly layers: Int32Array;
  readonly rows: Int32Array;
}

function placeOf(
  tensor: ModelTensor,
  params: {
    readonly parameters: ParameterSet;
    readonly numbers: ReadonlyMap<string, number>;
    readonly infos: ReadonlyMap<string, TensorInfo>;
  },
): Place {
  const { parameters, numbers, infos } = params;
  const origins = rowOrigins(tensor.expression, { info: (name) => infos.get(name)! });
  const found = Array.from(origins.rows, (label) => origins.tensorOf(label));
  return {
    data: parameterOf(parameters, tensor.name).data as Float32Array,
    columns: tensor.shape.at(-1)!,
    layers: Int32Array.from(found, ({ tensor: { name } }) => numbers.get(name) ?? -1),
    rows: Int32Array.from(found, ({ row }) => row),
  };
}

function replaceRows({ data, columns, layers, rows }: Place, changed: readonly Float32Array[]): void {
  for (const [index, layer] of layers.entries()) {
    if (layer < 0) continue;
    const first = rows[index]! * columns;
    data.set(changed[layer]!.subarray(first, first + columns), index * columns);
  }
}
