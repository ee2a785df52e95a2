import { decodeElements, encodeElements, QuernError, type TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { evaluateRows, expressionType } from "../expressions/evaluate.ts";
import type { TensorExpression, TensorReader } from "../expressions/expression.ts";
import { concatenate } from "../expressions/operations/concatenate.ts";
import { source } from "../expressions/operations/source.ts";
import { stack } from "../expressions/operations/stack.ts";
import { foldedScales } from "./folded-scales.ts";
import { foldExpression } from "./weight-changes.ts";
import type { FoldedPart, Folding } from "./folding.ts";
import { tieFactors } from "./tied-factors.ts";

/** Elements are 1, so that results are factors. */
function ones(shapes: Readonly<Record<string, readonly number[]>>): TensorReader {
  const info = (name: string): TensorInfo => ({ name, type: "BF16", shape: shapes[name]! });
  return {
    info,
    readRows: async (name, _, count) =>
      encodeElements({ type: "BF16", values: new Float32Array(count * shapes[name]!.at(-1)!).fill(1) }),
  };
}

async function numbers(expression: TensorExpression, reader: TensorReader): Promise<number[]> {
  const { type, shape } = expressionType(expression, reader);
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const bytes = await evaluateRows(expression, { reader, firstRow: 0, rows });
  return [...decodeElements({ type, bytes })];
}

function part(tensor: string, shape: readonly number[], own: Partial<FoldedPart> = {}): FoldedPart {
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return { tensor, shape, axis: "columns", firstRow: 0, rows, offset: 0, ...own };
}

function folding(parts: Partial<Folding>): Folding {
  return {
    name: "norm",
    columns: 2,
    statistics: { module: "layer" },
    readers: [{ module: "layer" }],
    multiplied: [],
    divided: [],
    divides: "norm",
    ...parts,
  };
}

const factors = Float32Array.of(2, 4);

describe("foldedScales", () => {
  it("multiplies columns and divides elements", async () => {
    const reader = ones({ weight: [3, 2], norm: [2] });
    const one = folding({ multiplied: [part("weight", [3, 2])], divided: [part("norm", [2])] });
    const scales = foldedScales([{ folding: one, factors }]);
    expect(await numbers(foldExpression(source("weight"), scales), reader)).toEqual([2, 4, 2, 4, 2, 4]);
    expect(await numbers(foldExpression(source("norm"), scales), reader)).toEqual([0.5, 0.25]);
    expect(foldExpression(source("other"), scales)).toEqual(source("other"));
  });

  it("scales what the model makes of a weight by adding 1", async () => {
    const one = folding({ divided: [part("norm", [2], { offset: 1 })] });
    const scales = foldedScales([{ folding: one, factors }]);
    const scaled = foldExpression(source("norm"), scales);
    expect(await numbers(scaled, ones({ norm: [2] }))).toEqual([0, -0.5]);
  });

  it("gathers what several foldings make of one tensor, matrix by matrix", async () => {
    const shape = [2, 2, 2];
    const reader = ones({ experts: shape });
    const own = (index: number): FoldedPart => part("experts", shape, { firstRow: 2 * index, rows: 2 });
    const rows = part("experts", shape, {
      axis: "rows",
      firstRow: 1,
      rows: 3,
      columnOf: Int32Array.of(1, -1, 0),
    });
    const chosen = [
      { folding: folding({ multiplied: [own(1)] }), factors },
      { folding: folding({ multiplied: [part("experts", shape)] }), factors: Float32Array.of(3, 1) },
      { folding: folding({ divided: [rows] }), factors },
    ];
    const expected = [3, 1, 3 / 4, 1 / 4, 6, 4, 3, 2];
    for (const order of [chosen, chosen.toReversed()]) {
      const scaled = foldExpression(source("experts"), foldedScales(order));
      expect(await numbers(scaled, reader)).toEqual(expected);
      expect(await numbers(structuredClone(scaled), reader)).toEqual(expected);
      const slab = await evaluateRows(scaled, { reader, firstRow: 1, rows: 2 });
      expect([...decodeElements({ type: "F32", bytes: slab })]).toEqual(expected.slice(2, 6));
    }
  });

  it("starts over where a tensor has several matrices in its rows", async () => {
    const shape = [2, 2, 1];
    const turned = part("turned", shape, { axis: "rows" });
    const scales = foldedScales([{ folding: folding({ multiplied: [turned] }), factors }]);
    expect(await numbers(foldExpression(source("turned"), scales), ones({ turned: shape }))).toEqual([
      2, 4, 2, 4,
    ]);
  });

  it("makes tensors of one type of scaled and other ones", async () => {
    const reader = ones({ weight: [1, 2], other: [1, 2] });
    const one = folding({ multiplied: [part("weight", [1, 2])] });
    const scales = foldedScales([{ folding: one, factors }]);
    for (const join of [concatenate, stack]) {
      const joined = foldExpression(join([source("weight"), source("other")]), scales);
      expect(await numbers(joined, reader)).toEqual([2, 4, 1, 1]);
    }
  });

  it.each([
    ["too few", Float32Array.of(1)],
    ["0", Float32Array.of(1, 0)],
    ["infinity", Float32Array.of(Infinity, 1)],
    ["NaN", Float32Array.of(NaN, 1)],
    ["different ones where columns are tied", Float32Array.of(1, 2)],
  ])("refuses %s", (_, wrong) => {
    const tied = folding({ tied: Uint32Array.of(0, 0) });
    expect(() => foldedScales([{ folding: tied, factors: wrong }])).toThrow(QuernError);
    expect(() => foldedScales([{ folding: tied, factors: wrong }])).toThrow(/^factors of norm: /);
  });
});

describe("tieFactors", () => {
  it("gives tied columns their geometric mean", () => {
    const tied = Uint32Array.of(0, 1, 0, 1);
    const result = tieFactors({ tied }, Float32Array.of(2, 1, 8, 1));
    expect([...result]).toEqual([4, 1, 4, 1]);
    expect(() => foldedScales([{ folding: folding({ columns: 4, tied }), factors: result }])).not.toThrow();
  });

  it("leaves factors alone that are free", () => expect(tieFactors({}, factors)).toBe(factors));
});
