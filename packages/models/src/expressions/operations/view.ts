import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";

interface View extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
  readonly name: string;
}

/** A tensor that the checkpoint would have if it were laid out otherwise: one expert of those that are in one tensor. */
export function view(name: string, input: TensorExpression): TensorExpression {
  return { operation: "view", inputs: [input], name };
}

export const viewOperation: Operation<View> = {
  name: "view",
  result: "input",
  isTensor: true,
  type: ({ inputs }, { typeOf }) => typeOf(inputs[0]),
  rows: ({ inputs }, { start, count }, { rowsOf }) => rowsOf(inputs[0], start, count),
};
