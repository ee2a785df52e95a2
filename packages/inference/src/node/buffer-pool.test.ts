import { expect, it } from "vitest";
import { BufferPool } from "./buffer-pool.ts";

it("gives the smallest buffer that fits, and a new one in place of those that do not", () => {
  const pool = new BufferPool();
  const [small, medium, large] = [pool.take(10), pool.take(100), pool.take(1000)];
  expect([small, medium, large].map(({ byteLength }) => byteLength)).toEqual([10, 100, 1000]);
  for (const buffer of [large, small, medium]) pool.give(buffer);
  expect(pool.take(50)).toBe(medium);
  expect(pool.take(50)).toBe(large);
  const other = pool.take(50);
  expect(other.byteLength).toBe(50);
  pool.give(other);
  // The one of ten bytes has made room for it.
  expect(pool.take(5)).toBe(other);
});
