import type { TensorInfo } from "@quern/tensor";
import { expressionType } from "../expressions/evaluate.ts";
import type { TensorExpression } from "../expressions/expression.ts";
import { joinLabels } from "../expressions/join-rows.ts";
import { source } from "../expressions/operations/source.ts";
import { OPERATIONS } from "../expressions/registry.ts";
import { isTensorNode, replaceTensors } from "../expressions/tensor-nodes.ts";

/** A tensor of the checkpoint that rows of another come from. */
export interface OriginTensor {
  readonly name: string;
  /** As it is stored. */
  readonly shape: readonly number[];
  /** Whether its last two axes are exchanged before rows are taken from it. */
  readonly transposed: boolean;
  /** What is added to its elements. */
  readonly offset: number;
}

/** Where the rows of a tensor come from. */
export interface RowOrigins {
  /** Whether rows are rows of the checkpoint, all elements in their places; if not, `rows` are those that go into the tensor. */
  readonly isWhole: boolean;
  readonly tensors: readonly OriginTensor[];
  /** For each row the row of one of the tensors, numbered from the first row of the first to the last row of the last. */
  readonly rows: Int32Array;
  /** The tensor that has this row. */
  tensorOf(row: number): { readonly tensor: OriginTensor; readonly row: number };
}

/**
 * Follows the rows of an expression back to the checkpoint.
 *
 * @param params.info Of the checkpoint's tensors, quantized ones as the weights that they stand for.
 * @param params.elements Whether every element is a row of its own: in a bias there is one for each row of the layer. @default false
 */
export function rowOrigins(
  expression: TensorExpression,
  params: { readonly info: (name: string) => TensorInfo; readonly elements?: boolean },
): RowOrigins {
  const { info, elements = false } = params;
  const shapeOf = (node: TensorExpression): readonly number[] => expressionType(node, { info }).shape;
  const moved = (shape: readonly number[]): readonly number[] => (elements ? shape : shape.slice(0, -1));
  const found = new Map<string, { tensor: OriginTensor; first: number; rows: number }>();
  let next = 0;
  let isWhole = true;

  const visit = (node: TensorExpression): Int32Array => {
    const tensor = tensorOf(node, shapeOf);
    if (tensor !== undefined) {
      const key = JSON.stringify([tensor.name, tensor.transposed, tensor.offset]);
      const rows = product(moved(shapeOf(node)));
      const known = found.get(key) ?? { tensor, first: next, rows };
      if (!found.has(key)) next += rows;
      found.set(key, known);
      const labels = new Int32Array(rows);
      for (let row = 0; row < rows; row++) labels[row] = known.first + row;
      return labels;
    }
    const inputs = node.inputs ?? [];
    const labels = inputs.map(visit);
    const axes = { inputs: inputs.map((input) => moved(shapeOf(input))), result: moved(shapeOf(node)) };
    const result = OPERATIONS.get(node.operation)?.moveRows?.(node, labels, axes);
    if (result !== undefined) return result;
    isWhole = false;
    return joinLabels(labels);
  };

  const rows = visit(replaceTensors(expression, ({ name }) => source(name)));
  const origins = [...found.values()];
  return {
    isWhole,
    tensors: origins.map(({ tensor }) => tensor),
    rows,
    tensorOf(row) {
      let [low, high] = [0, origins.length - 1];
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (origins[middle]!.first <= row) low = middle;
        else high = middle - 1;
      }
      return { tensor: origins[low]!.tensor, row: row - origins[low]!.first };
    },
  };
}

/** A node that is a tensor of the checkpoint, perhaps in another type, transposed or with a constant added. */
function tensorOf(
  node: TensorExpression,
  shapeOf: (node: TensorExpression) => readonly number[],
): OriginTensor | undefined {
  if (isTensorNode(node)) return { name: node.name, shape: shapeOf(node), transposed: false, offset: 0 };
  const operation = OPERATIONS.get(node.operation);
  const [input] = node.inputs ?? [];
  const inner = input === undefined ? undefined : tensorOf(input, shapeOf);
  if (inner === undefined) return undefined;
  if (operation?.exchangesAxes) return { ...inner, transposed: !inner.transposed };
  if (operation?.addend) return { ...inner, offset: inner.offset + operation.addend(node) };
  return undefined;
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, size) => all * size, 1);
}
