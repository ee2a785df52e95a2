import type { TensorExpression } from "../expression.ts";
import { joinLabels, joinRows } from "../join-rows.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid } from "../row-shape.ts";

interface Concatenate extends TensorExpression {
  readonly inputs: readonly TensorExpression[];
}

/** The inputs one after the other along the first axis. */
export function concatenate(inputs: readonly TensorExpression[]): TensorExpression {
  return { operation: "concatenate", inputs };
}

export const concatenateOperation: Operation<Concatenate> = {
  name: "concatenate",
  result: "allocated",
  type({ inputs }, { typeOf }) {
    const types = inputs.map(typeOf);
    const [first] = types;
    if (first === undefined || first.shape.length < 2)
      throw invalid("concatenate: expected one or more matrices");
    const inner = describeType({ ...first, shape: first.shape.slice(1) });
    const other = types.find(({ type, shape }) => describeType({ type, shape: shape.slice(1) }) !== inner);
    if (other !== undefined) {
      throw invalid(`concatenate: ${describeType(other)} does not fit ${describeType(first)}`);
    }
    return {
      type: first.type,
      shape: first.shape.with(
        0,
        types.reduce((sum, { shape }) => sum + shape[0]!, 0),
      ),
    };
  },
  rows: joinRows,
  moveRows: (_, labels) => joinLabels(labels),
};
