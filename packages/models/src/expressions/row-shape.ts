import { ELEMENT_TYPES, elementCount, QuernError } from "@quern/tensor";
import type { ExpressionType } from "./expression.ts";

/** A tensor seen as a matrix of rows x last dimension; a scalar is one row of one element. */
export interface RowShape {
  readonly rows: number;
  readonly columns: number;
  /** Bytes of one row. */
  readonly rowBytes: number;
}

/**
 * @throws QuernError `EXPRESSION_INVALID` when the rows of a packed type do not end at a byte boundary, or the tensor is empty
 */
export function rowShape({ type, shape }: ExpressionType): RowShape {
  const columns = shape.at(-1) ?? 1;
  const rowBytes = (columns * ELEMENT_TYPES[type].bits) / 8;
  if (!Number.isInteger(rowBytes) || rowBytes === 0) {
    throw invalid(`rows of ${columns} ${type} elements: expected one or more whole bytes`);
  }
  return { rows: elementCount(shape.slice(0, -1)), columns, rowBytes };
}

/** An `EXPRESSION_INVALID` error; the tensor is added by whoever knows its name. */
export function invalid(message: string): QuernError {
  return new QuernError("EXPRESSION_INVALID", message);
}

/** "F16 [4, 128]", for messages. */
export function describeType({ type, shape }: ExpressionType): string {
  return `${type} [${shape.join(", ")}]`;
}
