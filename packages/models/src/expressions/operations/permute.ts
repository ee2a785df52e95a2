import type { TensorExpression } from "../expression.ts";
import { gatherRows } from "../gather-rows.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid, rowShape } from "../row-shape.ts";

interface Permute extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
  readonly axes: readonly number[];
}

/**
 * Axes in another order: axis `i` of the result is axis `axes[i]` of the input. The last axis stays the last, so that rows
 * move as a whole ({@link transpose} turns columns into rows).
 */
export function permute(input: TensorExpression, axes: readonly number[]): TensorExpression {
  return { operation: "permute", inputs: [input], axes };
}

export const permuteOperation: Operation<Permute> = {
  name: "permute",
  result: "allocated",
  type({ inputs, axes }, { typeOf }) {
    const input = typeOf(inputs[0]);
    const rank = input.shape.length;
    const isPermutation =
      axes.length === rank && axes.toSorted((a, b) => a - b).every((axis, index) => axis === index);
    if (!isPermutation || axes[rank - 1] !== rank - 1) {
      throw invalid(
        `permute of ${describeType(input)} to axes [${axes.join(", ")}]: expected each of its ${rank} axes once, the last one last`,
      );
    }
    return { type: input.type, shape: axes.map((axis) => input.shape[axis]!) };
  },
  moveRows({ axes }, [labels], { inputs: [moved] }) {
    const rowOf = rowOrder(axes.slice(0, moved!.length), moved!);
    return labels!.map((_, index) => labels![rowOf(index)]!);
  },
  rows(expression, { start, count }, context) {
    const [input] = expression.inputs;
    const { shape } = context.typeOf(input);
    return gatherRows({
      input,
      rowBytes: rowShape(context.typeOf(input)).rowBytes,
      rowOf: rowOrder(expression.axes.slice(0, -1), shape.slice(0, -1)),
      start,
      count,
      context,
    });
  },
};

/** Row of the input that becomes a row of the result. */
function rowOrder(axes: readonly number[], shape: readonly number[]): (index: number) => number {
  const strides = shape.map(() => 1);
  for (let axis = strides.length - 2; axis >= 0; axis--)
    strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return (index) => {
    let rest = index;
    let row = 0;
    for (let position = axes.length - 1; position >= 0; position--) {
      const axis = axes[position]!;
      row += (rest % shape[axis]!) * strides[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return row;
  };
}
