import type { TensorExpression } from "./expression.ts";
import type { OperationContext } from "./operation.ts";

/** Rows between two wanted ones that are read with them rather than around them: every other row is then one read. */
const LARGEST_GAP = 1;

/**
 * Rows of `input` in any order, read in as few pieces as the order allows.
 *
 * @param params.rowOf Row of the input that becomes row `index` of the result.
 * @param params.start First row of the result that is wanted.
 */
export async function gatherRows(params: {
  input: TensorExpression;
  rowBytes: number;
  rowOf: (index: number) => number;
  start: number;
  count: number;
  context: OperationContext;
}): Promise<Uint8Array> {
  const { input, rowBytes, rowOf, start, count, context } = params;
  const wanted = Float64Array.from({ length: count }, (_, index) => rowOf(start + index));
  const first = wanted[0]!;
  if (wanted.every((row, index) => row === first + index)) return context.rowsOf(input, first, count);

  const order = Uint32Array.from({ length: count }, (_, index) => index);
  order.sort((a, b) => wanted[a]! - wanted[b]!);
  const gathered = context.allocate(count * rowBytes);
  for (const { from, to } of runs(order, wanted)) {
    const firstRow = wanted[order[from]!]!;
    const lastRow = wanted[order[to - 1]!]!;
    const bytes = await context.rowsOf(input, firstRow, lastRow - firstRow + 1);
    for (let index = from; index < to; index++) {
      const position = order[index]!;
      const offset = (wanted[position]! - firstRow) * rowBytes;
      gathered.set(bytes.subarray(offset, offset + rowBytes), position * rowBytes);
    }
  }
  return gathered;
}

/** Ranges [from, to) of `order` whose rows lie (almost) side by side. */
function* runs(order: Uint32Array, wanted: Float64Array): Generator<{ from: number; to: number }> {
  for (let from = 0, to = 1; from < order.length; from = to, to++) {
    while (to < order.length && wanted[order[to]!]! - wanted[order[to - 1]!]! <= LARGEST_GAP + 1) to++;
    yield { from, to };
  }
}
