import type { TensorExpression } from "./expression.ts";
import { OPERATIONS } from "./registry.ts";

/** Whether a node stands for a tensor of the checkpoint. */
export function isTensorNode(node: TensorExpression): node is TensorExpression & { readonly name: string } {
  return OPERATIONS.get(node.operation)?.isTensor === true;
}

/** The tensors of the checkpoint that an expression is made from, by name; quantized layers by that of their weight. */
export function tensorNodes(expression: TensorExpression): ReadonlyMap<string, TensorExpression> {
  const nodes = new Map<string, TensorExpression>();
  const visit = (node: TensorExpression): void => {
    if (isTensorNode(node)) nodes.set(node.name, node);
    else node.inputs?.forEach(visit);
  };
  visit(expression);
  return nodes;
}

/** Names of the weights of the checkpoint that an expression is made from, whatever they are stored as. */
export function weightNames(expression: TensorExpression): string[] {
  return [...tensorNodes(expression).keys()];
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
