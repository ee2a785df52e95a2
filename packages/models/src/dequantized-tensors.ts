import { describeQuantization } from "@quern/checkpoints";
import { QuernError, type TensorInfo } from "@quern/tensor";
import type { DescribedArchitecture } from "./architectures/describe-architecture.ts";
import { replaceSources } from "./expressions/evaluate.ts";
import type { TensorExpression } from "./expressions/expression.ts";
import { dequantizeLayer } from "./expressions/operations/dequantize.ts";
import { source } from "./expressions/operations/source.ts";
import type { JsonObject } from "./json-file.ts";
import type { ModelInput } from "./model.ts";

/** A quantized checkpoint as if it were not. */
export interface DequantizedTensors {
  /** The weights of quantized layers under the names that they would have, and all other tensors. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** How the weights of quantized layers are made, by name. */
  readonly expressions: ReadonlyMap<string, TensorExpression>;
  /** What was described from these tensors, made from those that there are. */
  restore<Described extends DescribedArchitecture>(described: Described): Described;
}

/**
 * A checkpoint with the weights that its quantized layers dequantize to, in the order of llama.cpp's converter: in the place of
 * a tensor of that name, or else after all others (conversion/base.py, `dequant_model`).
 *
 * @throws QuernError the codes of `describeQuantization`
 */
export async function dequantizedTensors(
  config: JsonObject,
  { tensors, readTensor = cannotRead }: Pick<ModelInput, "tensors" | "readTensor">,
): Promise<DequantizedTensors> {
  const quantized = await describeQuantization({ config, tensors, readTensor });
  if (quantized === undefined) return { tensors, expressions: new Map(), restore: (described) => described };
  const weights = new Map(quantized.layers.map(({ weight }) => [weight.name, weight]));
  const all = new Map<string, TensorInfo>();
  for (const [name, info] of tensors) {
    const weight = weights.get(name);
    if (weight !== undefined) all.set(name, weight);
    else if (!quantized.consumed.has(name)) all.set(name, info);
  }
  for (const [name, weight] of weights) all.set(name, weight);

  const parts = new Map(quantized.layers.map((layer) => [layer.weight.name, layer.parts]));
  const expressions = new Map<string, TensorExpression>(
    quantized.layers.map(({ weight, format, layer, parts: own }) => [
      weight.name,
      dequantizeLayer({
        name: weight.name,
        format,
        layer,
        shape: weight.shape,
        parts: own.map(({ suffix, name }) => ({ suffix, expression: source(name) })),
      }),
    ]),
  );
  return {
    tensors: all,
    expressions,
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

function cannotRead(name: string): Promise<Uint8Array> {
  throw new QuernError("MODEL_UNSUPPORTED", `"${name}" says what the layer is, and cannot be read here`, {
    subject: { tensor: name },
  });
}
