import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";

interface Values extends TensorExpression {
  readonly values: readonly number[];
}

/** A vector of generated F32 numbers (rotary position factors). */
export function values(numbers: readonly number[]): TensorExpression {
  return { operation: "values", values: numbers };
}

export const valuesOperation: Operation<Values> = {
  name: "values",
  type: ({ values: numbers }) => ({ type: "F32", shape: [numbers.length] }),
  async rows({ values: numbers }) {
    const result = new DataView(new ArrayBuffer(numbers.length * 4));
    for (const [index, number] of numbers.entries()) result.setFloat32(index * 4, number, true);
    return new Uint8Array(result.buffer);
  },
};
