import type { TensorExpression } from "./expression.ts";
import { OPERATIONS } from "./registry.ts";

/** Whether a node stands for a tensor of the checkpoint. */
export function isTensorNode(node: TensorExpression): node is TensorExpression & { readonly name: string } {
  return OPERATIONS.get(node.operation)?.isTensor === true;
}

/** Names of the tensors of the checkpoint that an expression is made from, each once; those that a quantized layer would have. */
export function tensorsOf(expression: TensorExpression): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (node: TensorExpression): void => {
    if (isTensorNode(node)) names.add(node.name);
    else node.inputs?.forEach(visit);
  };
  visit(expression);
  return names;
}

/** The expression with what `replace` gives for each of the tensors of the checkpoint. */
export function replaceTensors(
  expression: TensorExpression,
  replace: (node: TensorExpression & { readonly name: string }) => TensorExpression,
): TensorExpression {
  if (isTensorNode(expression)) return replace(expression);
  if (expression.inputs === undefined) return expression;
  return { ...expression, inputs: expression.inputs.map((input) => replaceTensors(input, replace)) };
}
