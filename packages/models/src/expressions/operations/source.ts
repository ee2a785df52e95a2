import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";

interface Source extends TensorExpression {
  readonly name: string;
}

/** A tensor of the checkpoint. */
export function source(name: string): TensorExpression {
  return { operation: "source", name };
}

export const sourceOperation: Operation<Source> = {
  name: "source",
  result: "allocated",
  isTensor: true,
  type({ name }, { reader }) {
    const { type, shape } = reader.info(name);
    return { type, shape };
  },
  rows: ({ name }, { start, count }, { reader }) => reader.readRows(name, start, count),
};
