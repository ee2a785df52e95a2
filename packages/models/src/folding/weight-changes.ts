import type { OpenExpression, TensorExpression } from "../expressions/expression.ts";
import { toFloat32 } from "../expressions/operations/to-float32.ts";
import { replaceTensors, tensorNodes } from "../expressions/tensor-nodes.ts";
import type { ModelTensor } from "../model.ts";

/** What becomes of tensors of the checkpoint, by name: operations one after the other, the result of which is F32. */
export type WeightChanges = ReadonlyMap<string, readonly OpenExpression[]>;

/** The first changes, then the others. */
export function joinChanges(first: WeightChanges, then: WeightChanges): WeightChanges {
  const joined = new Map(first);
  for (const [name, changes] of then) joined.set(name, [...(joined.get(name) ?? []), ...changes]);
  return joined;
}

/**
 * An expression over the checkpoint's tensors as one over the changed ones; F32 unless it has none of them. `source(name)` gives the changed
 * tensor itself.
 */
export function foldExpression(expression: TensorExpression, changes: WeightChanges): TensorExpression {
  if (![...tensorNodes(expression).keys()].some((name) => changes.has(name))) return expression;
  return replaceTensors(expression, (tensor) => {
    const own = changes.get(tensor.name);
    return own === undefined
      ? toFloat32(tensor)
      : own.reduce<TensorExpression>((input, change) => ({ ...change, inputs: [input] }), tensor);
  });
}

/** An output tensor made from the changed tensors of the checkpoint. */
export function foldTensor(tensor: ModelTensor, changes: WeightChanges): ModelTensor {
  const expression = foldExpression(tensor.expression, changes);
  return expression === tensor.expression ? tensor : { ...tensor, expression, sourceType: "F32" };
}
