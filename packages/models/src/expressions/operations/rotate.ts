import { randomizedHadamard } from "@quern/quantize/rotations";
import { decodeElements } from "@quern/tensor";
import { checkDecodable } from "../element-codec.ts";
import type { OpenExpression, TensorExpression } from "../expression.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { describeType, invalid, rowShape } from "../row-shape.ts";

/** A random Hadamard rotation of blocks of rows or columns of a tensor seen as rows x last dimension. */
export interface RotationOf {
  /** "columns" rotates what is read, W R; "rows" what is made, R^T W. */
  readonly axis: "rows" | "columns";
  /** Rows or columns of a block. */
  readonly size: number;
  readonly seed: number;
  /** First row or column of each block, in ascending order. Absent: one after the other. */
  readonly starts?: Int32Array;
}

interface Rotate extends TensorExpression, RotationOf {
  readonly inputs: readonly [TensorExpression];
}

/**
 * Blocks of rows or columns multiplied by a rotation (`randomizedHadamard`): F32, rounded once. A slab of rotated rows takes all rows of the
 * blocks that it touches.
 */
export function rotating(rotation: RotationOf): OpenExpression {
  return { operation: "rotate", ...rotation };
}

export const rotateOperation: Operation<Rotate> = {
  name: "rotate",
  type({ inputs, axis, size, starts }, { typeOf }) {
    const input = typeOf(inputs[0]);
    checkDecodable(input.type);
    const { [axis]: length } = rowShape(input);
    const fits =
      starts === undefined
        ? length % size === 0
        : starts.every((start, index) => start >= (index > 0 ? starts[index - 1]! + size : 0)) &&
          (starts.at(-1) ?? 0) + size <= length;
    if (fits) return { type: "F32", shape: input.shape };
    throw invalid(`rotate of ${describeType(input)}: blocks of ${size} ${axis} do not fit`);
  },
  async rows(expression, range, context) {
    const result =
      expression.axis === "columns"
        ? await rotatedColumns(expression, range, context)
        : await rotatedRows(expression, range, context);
    return new Uint8Array(result.buffer, result.byteOffset, result.byteLength);
  },
};

interface Range {
  readonly start: number;
  readonly count: number;
}

async function numbers(
  input: TensorExpression,
  range: Range,
  context: OperationContext,
): Promise<Float32Array> {
  const bytes = await context.rowsOf(input, range.start, range.count);
  return decodeElements({ type: context.typeOf(input).type, bytes });
}

async function rotatedColumns(
  { inputs: [input], size, seed, starts }: Rotate,
  range: Range,
  context: OperationContext,
): Promise<Float32Array> {
  const { forward } = randomizedHadamard({ size, seed });
  const { columns } = rowShape(context.typeOf(input));
  const blocks = starts ?? everyBlock(columns, size);
  const result = await numbers(input, range, context);
  for (let row = 0; row < range.count; row++) {
    for (const start of blocks) {
      const first = row * columns + start;
      result.set(forward(Float64Array.from(result.subarray(first, first + size))), first);
    }
  }
  return result;
}

async function rotatedRows(
  { inputs: [input], size, seed, starts }: Rotate,
  { start, count }: Range,
  context: OperationContext,
): Promise<Float32Array> {
  const { rows, columns } = rowShape(context.typeOf(input));
  const end = start + count;
  const touched = (starts ?? everyBlock(rows, size)).filter((first) => first < end && first + size > start);
  const firstRow = Math.min(start, touched.at(0) ?? start);
  const endRow = Math.max(end, (touched.at(-1) ?? 0) + size);
  const all = await numbers(input, { start: firstRow, count: endRow - firstRow }, context);
  const { forward } = randomizedHadamard({ size, seed });
  const outputs = new Float64Array(size);
  for (const first of touched) {
    const offset = (first - firstRow) * columns;
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < size; row++) outputs[row] = all[offset + row * columns + column]!;
      const rotated = forward(outputs);
      for (let row = 0; row < size; row++) all[offset + row * columns + column] = rotated[row]!;
    }
  }
  return all.subarray((start - firstRow) * columns, (end - firstRow) * columns);
}

function everyBlock(length: number, size: number): Int32Array {
  return Int32Array.from({ length: Math.floor(length / size) }, (_, block) => block * size);
}
