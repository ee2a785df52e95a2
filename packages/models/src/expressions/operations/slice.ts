import { ELEMENT_TYPES, elementCount } from "@quern/tensor";
import type { TensorExpression } from "../expression.ts";
import { gatherRows } from "../gather-rows.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { describeType, invalid, rowShape } from "../row-shape.ts";

interface Slice extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
  readonly axis: number;
  readonly start: number;
  readonly stop: number;
  readonly step: number;
}

/**
 * Elements start, start + step, ... below `stop` along one axis.
 *
 * @param range.step @default 1
 */
export function slice(
  input: TensorExpression,
  range: { axis: number; start: number; stop: number; step?: number },
): TensorExpression {
  return { operation: "slice", inputs: [input], ...range, step: range.step ?? 1 };
}

export const sliceOperation: Operation<Slice> = {
  name: "slice",
  result: "allocated",
  type({ inputs, axis, start, stop, step }, { typeOf }) {
    const input = typeOf(inputs[0]);
    const size = input.shape[axis];
    const bounds = [start, stop, step].every(Number.isInteger) && start >= 0 && start < stop && step > 0;
    if (size === undefined || !bounds || stop > size) {
      throw invalid(
        `slice of ${describeType(input)} along axis ${axis} from ${start} to ${stop} by ${step}: not inside the tensor`,
      );
    }
    return { type: input.type, shape: input.shape.with(axis, Math.ceil((stop - start) / step)) };
  },
  moveRows(expression, [labels], { inputs: [sliced], result }) {
    if (expression.axis >= sliced!.length) return undefined;
    const rowOf = rowOrder(expression, { input: sliced!, result });
    const own = new Int32Array(elementCount(result));
    for (let index = 0; index < own.length; index++) own[index] = labels![rowOf(index)]!;
    return own;
  },
  rows(expression, range, context) {
    const { shape } = context.typeOf(expression);
    return expression.axis === shape.length - 1
      ? sliceColumns(expression, range, context)
      : sliceRows(expression, range, context);
  },
};

function sliceRows(
  expression: Slice,
  range: { start: number; count: number },
  context: OperationContext,
): Promise<Uint8Array> {
  const [input] = expression.inputs;
  const inputType = context.typeOf(input);
  const rowOf = rowOrder(expression, {
    input: inputType.shape.slice(0, -1),
    result: context.typeOf(expression).shape.slice(0, -1),
  });
  return gatherRows({ input, rowBytes: rowShape(inputType).rowBytes, rowOf, ...range, context });
}

/** Row of the input that becomes a row of the result; shapes without the axes that move as a whole. */
function rowOrder(
  { axis, start, step }: Slice,
  { input, result }: { readonly input: readonly number[]; readonly result: readonly number[] },
): (index: number) => number {
  const inner = elementCount(input.slice(axis + 1));
  const size = result[axis]!;
  return (index) => {
    const along = Math.floor(index / inner);
    const outer = Math.floor(along / size);
    return (outer * input[axis]! + start + (along % size) * step) * inner + (index % inner);
  };
}

async function sliceColumns(
  expression: Slice,
  range: { start: number; count: number },
  context: OperationContext,
): Promise<Uint8Array> {
  const [input] = expression.inputs;
  const type = context.typeOf(expression);
  const { columns, rowBytes } = rowShape(type);
  const { rowBytes: inputRowBytes } = rowShape(context.typeOf(input));
  const elementBytes = ELEMENT_TYPES[type.type].bits / 8;
  const bytes = await context.rowsOf(input, range.start, range.count);
  const result = new Uint8Array(range.count * rowBytes);
  // A contiguous range is one piece per row, anything else one piece per element.
  const pieceBytes = expression.step === 1 ? rowBytes : elementBytes;
  const pieces = expression.step === 1 ? 1 : columns;
  for (let row = 0; row < range.count; row++) {
    for (let piece = 0; piece < pieces; piece++) {
      const from = row * inputRowBytes + (expression.start + piece * expression.step) * elementBytes;
      result.set(bytes.subarray(from, from + pieceBytes), row * rowBytes + piece * pieceBytes);
    }
  }
  return result;
}
