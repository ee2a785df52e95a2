import { totalmem } from "node:os";
import { expect, it } from "vitest";
import { processMemory, resolveMemory } from "./resolve-memory.ts";

it("takes what is asked for, and else a quarter of the machine's up to a limit", () => {
  const code = "PLAN_MEMORY";
  expect(resolveMemory({ memory: 12_345, most: 1, code })).toBe(12_345);
  expect(resolveMemory({ memory: undefined, most: 4096, code })).toBe(4096);
  expect(resolveMemory({ memory: undefined, most: Infinity, code })).toBe(Math.floor(totalmem() / 4));
  for (const memory of [0, -1, 1.5, Number.NaN]) {
    expect(() => resolveMemory({ memory, most: 4096, code })).toThrowError(
      expect.objectContaining({ code, subject: { key: "memory" } }) as Error,
    );
  }
});

it("knows what the process has already", () => {
  expect(processMemory(2 ** 50)).toBe(2 ** 50);
  expect(processMemory(0)).toBeGreaterThan(10e6);
});
