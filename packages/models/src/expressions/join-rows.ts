import type { TensorExpression } from "./expression.ts";
import type { OperationContext } from "./operation.ts";
import { rowShape } from "./row-shape.ts";

/** Rows of the inputs one after the other, reading only the inputs that the range touches. */
export async function joinRows(
  expression: TensorExpression & { readonly inputs: readonly TensorExpression[] },
  { start, count }: { readonly start: number; readonly count: number },
  { typeOf, rowsOf, allocate }: OperationContext,
): Promise<Uint8Array> {
  const { rowBytes } = rowShape(typeOf(expression));
  const joined = allocate(count * rowBytes);
  const end = start + count;
  let first = 0;
  for (const input of expression.inputs) {
    if (first >= end) break;
    const { rows } = rowShape(typeOf(input));
    const from = Math.max(start, first);
    const to = Math.min(end, first + rows);
    if (from < to) {
      const bytes = await rowsOf(input, from - first, to - from);
      if (bytes.byteLength === joined.byteLength) return bytes;
      joined.set(bytes, (from - start) * rowBytes);
    }
    first += rows;
  }
  return joined;
}

/** Labels of the rows of the inputs one after the other. */
export function joinLabels(labels: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(labels.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of labels) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
