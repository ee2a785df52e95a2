import { decodeElements } from "@quern/tensor";
import { checkDecodable } from "../element-codec.ts";
import type { OpenExpression, TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid, rowShape } from "../row-shape.ts";

/** Factors of the rows and columns of a tensor seen as rows x last dimension; absent: 1. */
export interface ScaleFactors {
  /** One for each row. */
  readonly rows?: Float64Array | Float32Array;
  /** One for each column; in a tensor of several matrices perhaps as many for each of them, one after the other. */
  readonly columns?: Float64Array | Float32Array;
  /** What the model adds to the elements before it uses them: the sum is scaled, and the element of it stored. @default 0 */
  readonly offset?: number;
}

interface Scale extends TensorExpression, ScaleFactors {
  readonly inputs: readonly [TensorExpression];
}

/** Rows and columns multiplied by factors: F32, rounded once. */
export function scaling(factors: ScaleFactors): OpenExpression {
  return { operation: "scale", ...factors };
}

export const scaleOperation: Operation<Scale> = {
  name: "scale",
  type({ inputs, rows: rowFactors, columns: columnFactors }, { typeOf }) {
    const input = typeOf(inputs[0]);
    checkDecodable(input.type);
    const { rows, columns } = rowShape(input);
    const matrices = (columnFactors?.length ?? columns) / columns;
    if ((rowFactors?.length ?? rows) !== rows || !Number.isInteger(matrices) || rows % matrices !== 0) {
      throw invalid(
        `scale of ${describeType(input)} by ${rowFactors?.length ?? "no"} factors of rows and ` +
          `${columnFactors?.length ?? "no"} of columns: expected one for each`,
      );
    }
    return { type: "F32", shape: input.shape };
  },
  async rows(expression, { start, count }, { typeOf, rowsOf }) {
    const { inputs, rows: rowFactors, columns: columnFactors, offset = 0 } = expression;
    const input = typeOf(inputs[0]);
    const { rows, columns } = rowShape(input);
    const bytes = await rowsOf(inputs[0], start, count);
    const result = decodeElements({ type: input.type, bytes });
    const matrixRows = rows / ((columnFactors?.length ?? columns) / columns);
    for (let index = 0; index < count; index++) {
      const row = start + index;
      const own = result.subarray(index * columns, (index + 1) * columns);
      const first = Math.floor(row / matrixRows) * columns;
      const factors = columnFactors?.subarray(first, first + columns);
      scaleRow(own, { factor: rowFactors?.[row] ?? 1, factors, offset });
    }
    return new Uint8Array(result.buffer);
  },
};

function scaleRow(
  row: Float32Array,
  params: { factor: number; factors: Float64Array | Float32Array | undefined; offset: number },
): void {
  const { factor, factors, offset } = params;
  if (factors === undefined) {
    for (let column = 0; column < row.length; column++)
      row[column] = (row[column]! + offset) * factor - offset;
    return;
  }
  for (let column = 0; column < row.length; column++) {
    row[column] = (row[column]! + offset) * (factor * factors[column]!) - offset;
  }
}
