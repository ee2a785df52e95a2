import type { LinearInputs } from "@quern/models";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { divideMemory } from "./divide-memory.ts";

function stage(columns: readonly number[], { hessians = true, experts = 1 } = {}) {
  const inputs = columns.map((count): LinearInputs => {
    return { name: `input${count}`, modules: [], columns: count, matrices: experts, rowsPerToken: 1 };
  });
  return { inputs, hessians, holdOutRows: inputs.map(() => 16) };
}

const params = {
  stages: [stage([1024, 1024, 4096]), stage([1024], { hessians: false })],
  tokens: Array.from({ length: 64 }, () => 512),
  width: 1024,
  threads: 4,
};

describe("divideMemory", () => {
  it("never uses more than the budget, and has at least a window and some rows of Hessians", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 0, max: 8 }), (budget, threads) => {
        const least = leastOf({ ...params, threads });
        expect(() => divideMemory({ ...params, threads, budget: Math.min(budget, least - 1) })).toThrow(
          "are the least",
        );
        const division = divideMemory({ ...params, threads, budget: Math.max(budget, least) });
        expect(division.used).toBeLessThanOrEqual(division.budget);
        expect(division.used).toBeGreaterThanOrEqual(least);
        expect(division.batch).toBeGreaterThanOrEqual(1);
        expect(division.batch).toBeLessThanOrEqual(4 * Math.max(threads, 1));
        expect(division.hessians).toBeGreaterThanOrEqual(16 * 2 ** 20);
      }),
    );
  });

  it("keeps everything in memory where there is enough", () => {
    const division = divideMemory({ ...params, budget: 4 * 2 ** 30 });
    expect(division.batch).toBe(16);
    expect(division.hessians).toBeGreaterThanOrEqual(4 * (2 * 1024 ** 2 + 4096 ** 2));
    expect(division.states).toBe(4 * 64 * 512 * 1024);
    expect(division.used).toBeLessThan(600e6);
  });

  it("needs nothing for Hessians that are not wanted", () => {
    const stages = [stage([1024], { hessians: false })];
    expect(divideMemory({ ...params, stages, budget: 2 ** 30 }).hessians).toBeUndefined();
  });

  it("counts sums for every expert", () => {
    const least = (experts: number): number => leastOf({ ...params, stages: [stage([256], { experts })] });
    expect(least(65) - least(1)).toBeGreaterThan(64 * (256 * 28 + 2048 * 8));
  });
});

function leastOf(given: typeof params): number {
  try {
    divideMemory({ ...given, budget: 1 });
  } catch (error) {
    return Number(/; (\d+) are the least/.exec((error as Error).message)![1]);
  }
  return 1;
}
