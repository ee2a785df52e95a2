import { describeQuantization, type QuantizedInputs } from "@quern/checkpoints";
import { QuernError, type TensorInfo } from "@quern/tensor";
import type { DescribedArchitecture } from "./architectures/describe-architecture.ts";
import { replaceSources } from "./expressions/evaluate.ts";
import type { TensorExpression } from "./expressions/expression.ts";
import { dequantizeLayer } from "./expressions/operations/dequantize.ts";
import { source } from "./expressions/operations/source.ts";
import { transpose } from "./expressions/operations/transpose.ts";
import { view } from "./expressions/operations/view.ts";
import type { JsonObject } from "./json-file.ts";
import type { ModelInput, ModelModule, StoredInputQuantization } from "./model.ts";

/** A quantized checkpoint as if it were not. */
export interface DequantizedTensors {
  /** The weights of quantized layers under the names that they would have, and all other tensors. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** How the weights of quantized layers are made, by name. */
  readonly expressions: ReadonlyMap<string, TensorExpression>;
  /** What was described from these tensors, made from those that there are. */
  restore<Described extends DescribedArchitecture>(described: Described): Described;
  /** How runtimes quantize the inputs of modules, by GGUF name. */
  inputsOf(modules: readonly ModelModule[]): ReadonlyMap<string, StoredInputQuantization>;
}

/**
 * A checkpoint with the weights that its quantized layers dequantize to, in the order of llama.cpp's converter: in the place of
 * a tensor of that name, or else after all others (conversion/base.py, `dequant_model`).
 *
 * @param exchanged Names of weights that are inputs x outputs where they are not quantized. @default none
 * @throws QuernError the codes of `describeQuantization`
 */
export async function dequantizedTensors(
  config: JsonObject,
  { tensors, readTensor = cannotRead }: Pick<ModelInput, "tensors" | "readTensor">,
  exchanged?: RegExp,
): Promise<DequantizedTensors> {
  const quantized = await describeQuantization({ config, tensors, readTensor });
  if (quantized === undefined) return unquantized(tensors);
  const isExchanged = (name: string): boolean => exchanged?.test(name) === true;
  const weights = new Map(
    quantized.layers.map(({ weight }) => [
      weight.name,
      isExchanged(weight.name) ? { ...weight, shape: weight.shape.toReversed() } : weight,
    ]),
  );
  const all = new Map<string, TensorInfo>();
  for (const [name, info] of tensors) {
    const weight = weights.get(name);
    if (weight !== undefined) all.set(name, weight);
    else if (!quantized.consumed.has(name)) all.set(name, info);
  }
  for (const [name, weight] of weights) all.set(name, weight);

  const parts = new Map(quantized.layers.map((layer) => [layer.weight.name, layer.parts]));
  const expressions = new Map<string, TensorExpression>(
    quantized.layers.map(({ weight, format, layer, parts: own }) => {
      const { name, shape } = weight;
      const expression = dequantizeLayer({
        name,
        format,
        layer,
        shape,
        parts: own.map((part) => ({ suffix: part.suffix, expression: source(part.name) })),
      });
      return [name, isExchanged(name) ? view(name, transpose(expression)) : expression];
    }),
  );
  const inputs = new Map(quantized.layers.map((layer) => [layer.weight.name, layer.inputs]));
  return {
    tensors: all,
    expressions,
    inputsOf: (modules) => new Map(modules.flatMap((module) => inputsOf(module, inputs))),
    restore: (described) => ({
      ...described,
      tensors: described.tensors.map((tensor) => ({
        ...tensor,
        expression: replaceSources(tensor.expression, expressions),
      })),
      modules: described.modules.map((module) => ({
        ...module,
        sources: module.sources.flatMap((name) => parts.get(name)?.map((part) => part.name) ?? [name]),
      })),
    }),
  };
}

/** A checkpoint whose tensors are as they are. */
export function unquantized(tensors: ReadonlyMap<string, TensorInfo>): DequantizedTensors {
  return { tensors, expressions: new Map(), restore: (described) => described, inputsOf: () => new Map() };
}

/** Of a module whose weights all have the same quantization of inputs, but for the scales. */
function inputsOf(
  { name, weights }: ModelModule,
  inputs: ReadonlyMap<string, QuantizedInputs | undefined>,
): readonly (readonly [string, StoredInputQuantization])[] {
  const all = weights.flatMap((weight) => inputs.get(weight) ?? []);
  const [first] = all;
  if (first === undefined || all.length < weights.length) return [];
  const { type, groupSize } = first;
  const same = all.every((one) => one.type === type && one.groupSize === groupSize);
  const scales = all.flatMap(({ scale }) => scale ?? []);
  if (!same || (scales.length > 0 && scales.length < all.length)) return [];
  return [[name, { type, ...(groupSize && { groupSize }), ...(scales.length > 0 && { scales }) }]];
}

function cannotRead(name: string): Promise<Uint8Array> {
  throw new QuernError("MODEL_UNSUPPORTED", `"${name}" says what the layer is, and cannot be read here`, {
    subject: { tensor: name },
  });
}
