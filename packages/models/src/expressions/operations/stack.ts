import type { TensorExpression } from "../expression.ts";
import { joinLabels, joinRows } from "../join-rows.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid } from "../row-shape.ts";

interface Stack extends TensorExpression {
  readonly inputs: readonly TensorExpression[];
}

/** The inputs, all of one shape, along a new first axis. */
export function stack(inputs: readonly TensorExpression[]): TensorExpression {
  return { operation: "stack", inputs };
}

export const stackOperation: Operation<Stack> = {
  name: "stack",
  result: "allocated",
  type({ inputs }, { typeOf }) {
    const types = inputs.map(typeOf);
    const [first] = types;
    if (first === undefined) throw invalid("stack: expected one or more inputs");
    const other = types.findIndex((type) => describeType(type) !== describeType(first));
    if (other >= 0) {
      throw invalid(
        `stack: number ${other} is ${describeType(types[other]!)}, number 0 is ${describeType(first)}`,
      );
    }
    return { type: first.type, shape: [inputs.length, ...first.shape] };
  },
  rows: joinRows,
  moveRows: (_, labels) => joinLabels(labels),
};
