import { expect, it } from "vitest";
import { BufferPool } from "./buffer-pool.ts";

it("gives what was given back to whoever asks for as much", () => {
  const pool = new BufferPool();
  const first = pool.take(64);
  const second = pool.take(64);
  expect(second).not.toBe(first);
  pool.give(first);
  expect(pool.take(32)).toHaveProperty("byteLength", 32);
  expect(pool.take(64)).toBe(first);
  pool.give(second);
  pool.clear();
  expect(pool.take(64)).not.toBe(second);
});

it("gives back early what is not needed any more", () => {
  const pool = new BufferPool();
  const lease = pool.lease();
  const [first, second] = [lease.take(16), lease.take(16)];
  lease.giveBack(first);
  lease.giveBack(first);
  lease.giveBack(new SharedArrayBuffer(16));
  expect(pool.take(16)).toBe(first);
  expect(pool.take(16)).not.toBe(second);
  lease.release();
  expect(pool.take(16)).toBe(second);
});

it("gives back together what was taken for a piece of work, once", () => {
  const pool = new BufferPool();
  const lease = pool.lease();
  const taken = [lease.take(16), lease.take(16), lease.take(8)];
  lease.release();
  lease.release();
  const again = [pool.take(16), pool.take(16), pool.take(8)];
  expect(new Set(again)).toEqual(new Set(taken));
  expect(taken).not.toContain(pool.take(16));
});
