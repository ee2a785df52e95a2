import { expressionSources, transpose } from "@quern/models";
import { elementCount } from "@quern/tensor";
import type { CheckpointLinear, LayeredModel } from "../linear-layers.ts";
import type { Weights } from "../tasks/weights.ts";

/** The weight of a layer, outputs x inputs. */
export function layerWeights(
  model: LayeredModel,
  { module, exchanged, rows, columns }: CheckpointLinear,
): Weights {
  const weights = weightsOf(model, `${module}.weight`);
  return exchanged ? { ...weights, rows, columns, expression: transpose(weights.expression) } : weights;
}

/** A tensor of the checkpoint as rows that threads can make. */
export function weightsOf({ tensors, checkpoint }: LayeredModel, name: string): Weights {
  const { info, expression } = tensors.get(name)!;
  const columns = info.shape.at(-1) ?? 1;
  return {
    tensor: name,
    rows: columns === 0 ? 0 : elementCount(info.shape) / columns,
    columns,
    type: info.type,
    expression,
    sources: expressionSources(expression).map((source) => checkpoint.tensors.get(source)!),
  };
}
