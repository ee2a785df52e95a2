import type { LinearInputs } from "@quern/models";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blockPasses, hessianBytes, type HessianSlice, sliceBytes } from "./block-passes.ts";

function input(columns: number, matrices = 1): LinearInputs {
  return { name: `input${columns}`, modules: [], columns, matrices, rowsPerToken: 1 };
}

const blocks = fc.array(
  fc.record({ columns: fc.integer({ min: 1, max: 700 }), matrices: fc.integer({ min: 1, max: 4 }) }),
  { minLength: 1, maxLength: 5 },
);

describe("blockPasses", () => {
  it("has every row of every Hessian in one slice, in order, and no more in memory than is allowed", () => {
    fc.assert(
      fc.property(
        blocks,
        fc.integer({ min: 1, max: 4_000_000 }),
        fc.integer({ min: 0, max: 5 }),
        (sizes, memory, threads) => {
          const inputs = sizes.map(({ columns, matrices }) => input(columns, matrices));
          const passes = blockPasses({ inputs, memory, threads });
          const slices = passes.flatMap((pass) => pass.slices.flat());
          const rows = slices.flatMap((slice) =>
            Array.from({ length: slice.rows }, (_, row) => [slice.input, slice.matrix, slice.firstRow + row]),
          );
          const wanted = inputs.flatMap(({ matrices, columns }, index) =>
            Array.from({ length: matrices * columns }, (_, row) => [
              index,
              Math.floor(row / columns),
              row % columns,
            ]),
          );
          expect(rows).toEqual(wanted);
          const oneRow = 8 * Math.max(...sizes.map(({ columns }) => columns));
          for (const pass of passes) {
            expect(total(pass.slices.flat())).toBeLessThanOrEqual(Math.max(memory, oneRow));
            const needed = new Set(pass.slices.flat().map((slice) => slice.input));
            expect(new Set(pass.captured)).toEqual(needed);
          }
          expect(passes.flatMap((pass) => pass.columns)).toEqual(inputs.map((_, index) => index));
          expect(passes.every(({ captured, columns }) => columns.every((i) => captured.includes(i)))).toBe(
            true,
          );
        },
      ),
    );
  });

  it("needs one pass when all fits, and about as many as it has to when it does not", () => {
    const inputs = [input(600), input(600), input(600), input(1500)];
    const all = hessianBytes({ inputs, threads: 2 });
    expect(all).toBeLessThan(1.4 * 4 * (3 * 600 ** 2 + 1500 ** 2));
    expect(blockPasses({ inputs, memory: all, threads: 2 })).toHaveLength(1);
    const passes = blockPasses({ inputs, memory: all / 4, threads: 2 });
    expect(passes.length).toBeGreaterThanOrEqual(4);
    expect(passes.length).toBeLessThanOrEqual(6);
  });

  it("gives every thread tasks of about the same size", () => {
    const [pass] = blockPasses({ inputs: [input(4096), input(11_008)], memory: Infinity, threads: 4 });
    const sizes = pass!.slices.map(total);
    expect(sizes.length).toBeGreaterThanOrEqual(14);
    expect(Math.max(...sizes)).toBeLessThan((2 * total(pass!.slices.flat())) / sizes.length);
  });

  it("puts many small matrices into few tasks", () => {
    const [pass] = blockPasses({ inputs: [input(64, 256)], memory: Infinity, threads: 2 });
    expect(pass!.slices.length).toBeLessThanOrEqual(10);
  });

  it("captures everything in one pass where no Hessians are wanted", () => {
    expect(blockPasses({ inputs: [input(5), input(6)], memory: undefined, threads: 2 })).toEqual([
      { captured: [0, 1], columns: [0, 1], slices: [] },
    ]);
  });
});

function total(slices: readonly HessianSlice[]): number {
  return slices.reduce((sum, slice) => sum + sliceBytes(slice), 0);
}
