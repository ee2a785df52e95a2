import { type TensorInfo } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluateRows } from "../expressions/evaluate.ts";
import type { TensorExpression } from "../expressions/expression.ts";
import { add } from "../expressions/operations/add.ts";
import { concatenate } from "../expressions/operations/concatenate.ts";
import { permute } from "../expressions/operations/permute.ts";
import { reshape } from "../expressions/operations/reshape.ts";
import { slice } from "../expressions/operations/slice.ts";
import { source } from "../expressions/operations/source.ts";
import { stack } from "../expressions/operations/stack.ts";
import { toFloat32 } from "../expressions/operations/to-float32.ts";
import { transpose } from "../expressions/operations/transpose.ts";
import { rowOrigins } from "./row-origins.ts";

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  a: [12, 3],
  b: [12, 3],
  merged: [2, 6, 3],
  turned: [2, 3, 6],
  bias: [12],
};
const tensors = new Map<string, TensorInfo>(
  Object.entries(SHAPES).map(([name, shape]) => [name, { name, type: "I32", shape }]),
);
const info = (name: string): TensorInfo => tensors.get(name)!;

/** Rows of an expression over tensors whose elements are numbers of rows, or of elements of a bias. */
async function rowsByEvaluation(expression: TensorExpression, elements: boolean): Promise<number[]> {
  const numbers = (name: string): Int32Array => {
    const shape = SHAPES[name]!;
    const width = elements ? 1 : shape.at(-1)!;
    const first = name === "b" ? 100 : 0;
    const count = shape.reduce((product, size) => product * size, 1);
    // Rows of a transposed tensor are its columns, matrix by matrix.
    if (name === "turned") {
      return Int32Array.from({ length: count }, (_, i) => Math.floor(i / 18) * 6 + (i % 6));
    }
    return Int32Array.from({ length: count }, (_, index) => first + Math.floor(index / width));
  };
  const bytes = await evaluateRows(expression, {
    reader: {
      info,
      async readRows(name, start, count) {
        const width = SHAPES[name]!.at(-1)!;
        return new Uint8Array(numbers(name).slice(start * width, (start + count) * width).buffer);
      },
    },
    firstRow: 0,
    rows: elements ? 1 : 12,
  });
  const all = [...new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];
  return elements ? all : all.filter((_, index) => index % 3 === 0);
}

function rowsByOrigins(expression: TensorExpression, elements = false): number[] {
  const origins = rowOrigins(expression, { info, elements });
  expect(origins.isWhole).toBe(true);
  return Array.from(origins.rows, (label) => {
    const { tensor, row } = origins.tensorOf(label);
    return tensor.name === "b" ? 100 + row : row;
  });
}

const axes = fc.constantFrom([2, 3, 2], [3, 2, 2], [2, 2, 3]);
const order = fc.constantFrom([0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0]);

/** Expressions of 12 rows that only move rows. */
const moved = fc.letrec<{ node: TensorExpression }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: "large" },
    fc.constantFrom(source("a"), source("b")),
    fc
      .tuple(tie("node"), axes, order)
      .map(([node, sizes, to]) => reshape(permute(reshape(node, [...sizes, 3]), [...to, 3]), [12, 3])),
    fc
      .tuple(tie("node"), tie("node"), fc.integer({ min: 1, max: 11 }))
      .map(([first, second, at]) =>
        concatenate([
          slice(first, { axis: 0, start: 0, stop: at }),
          slice(second, { axis: 0, start: at, stop: 12 }),
        ]),
      ),
    fc
      .tuple(tie("node"), tie("node"))
      .map(([first, second]) =>
        reshape(
          stack([
            slice(first, { axis: 0, start: 1, stop: 12, step: 2 }),
            slice(second, { axis: 0, start: 0, stop: 6 }),
          ]),
          [12, 3],
        ),
      ),
  ),
})).node;

describe("rowOrigins", () => {
  it("says of every row which one it is", async () => {
    await fc.assert(
      fc.asyncProperty(moved, async (expression) => {
        expect(rowsByOrigins(expression)).toEqual(await rowsByEvaluation(expression, false));
      }),
    );
  });

  it("follows rows of stored columns", async () => {
    const everyOther = slice(transpose(source("turned")), { axis: 1, start: 1, stop: 6, step: 2 });
    const expression = concatenate([everyOther, everyOther]);
    expect(rowsByOrigins(expression)).toEqual(await rowsByEvaluation(expression, false));
    const [tensor] = rowOrigins(expression, { info }).tensors;
    expect(tensor).toEqual({ name: "turned", shape: [2, 3, 6], transposed: true, offset: 0 });
  });

  it("follows the elements of a bias", async () => {
    const expression = reshape(permute(reshape(source("bias"), [2, 3, 2, 1]), [1, 0, 2, 3]), [12]);
    expect(rowsByOrigins(expression, true)).toEqual(await rowsByEvaluation(expression, true));
  });

  it("looks through types and constants", () => {
    const { tensors: origins, isWhole } = rowOrigins(add(toFloat32(source("a")), 1), { info });
    expect(isWhole).toBe(true);
    expect(origins).toEqual([{ name: "a", shape: [12, 3], transposed: false, offset: 1 }]);
  });

  it("says what goes in where rows do not stay whole", () => {
    const half = slice(source("merged"), { axis: 1, start: 0, stop: 3 });
    for (const expression of [
      transpose(half),
      slice(half, { axis: 2, start: 0, stop: 2 }),
      reshape(half, [9, 2]),
      add(half, 1),
    ]) {
      const origins = rowOrigins(expression, { info });
      expect(origins.isWhole).toBe(false);
      expect([...origins.rows]).toEqual([0, 1, 2, 6, 7, 8]);
    }
  });
});
