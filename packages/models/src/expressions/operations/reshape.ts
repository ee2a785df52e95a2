import { elementCount } from "@quern/tensor";
import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid, rowShape } from "../row-shape.ts";

interface Reshape extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
  readonly shape: readonly number[];
}

/** The same elements in the same order under another shape. */
export function reshape(input: TensorExpression, shape: readonly number[]): TensorExpression {
  return { operation: "reshape", inputs: [input], shape };
}

export const reshapeOperation: Operation<Reshape> = {
  name: "reshape",
  result: "input",
  type({ inputs, shape }, { typeOf }) {
    const input = typeOf(inputs[0]);
    if (elementCount(shape) !== elementCount(input.shape)) {
      throw invalid(
        `reshape of ${describeType(input)} to [${shape.join(", ")}]: the number of elements differs`,
      );
    }
    return { type: input.type, shape };
  },
  moveRows: (_, [labels], { result }) => (elementCount(result) === labels!.length ? labels : undefined),
  async rows(expression, { start, count }, { typeOf, rowsOf }) {
    const { rowBytes } = rowShape(typeOf(expression));
    const { rowBytes: inputRowBytes } = rowShape(typeOf(expression.inputs[0]));
    const begin = start * rowBytes;
    const end = begin + count * rowBytes;
    const firstRow = Math.floor(begin / inputRowBytes);
    const endRow = Math.ceil(end / inputRowBytes);
    const bytes = await rowsOf(expression.inputs[0], firstRow, endRow - firstRow);
    const offset = begin - firstRow * inputRowBytes;
    return bytes.subarray(offset, offset + end - begin);
  },
};
