import { describe, expect, it } from "vitest";
import { LaneBuffers } from "./lane-buffers.ts";

describe("LaneBuffers", () => {
  it("gives a use the same memory again, and never that of another use", () => {
    const buffers = new LaneBuffers();
    const target = buffers.take("target", 100);
    const other = buffers.take("other", 100);
    expect(other.buffer).not.toBe(target.buffer);
    expect(buffers.take("target", 60).buffer).toBe(target.buffer);
    expect(buffers.take("target", 60).byteLength).toBe(60);
    expect(buffers.take("target", 101).byteLength).toBe(101);
  });

  it("gives the reads of a slab memory of their own, which the next slab uses again", () => {
    const buffers = new LaneBuffers();
    const readSlab = (): Uint8Array[] =>
      [10, 30, 20].map((size, index) => buffers.takeRead(size).fill(index));
    const first = readSlab();
    expect(first.map((bytes) => [...new Set(bytes)])).toEqual([[0], [1], [2]]);
    expect(first.map((bytes) => bytes.byteLength)).toEqual([10, 30, 20]);
    buffers.releaseReads();
    const second = readSlab();
    expect(second.map((bytes) => [...new Set(bytes)])).toEqual([[0], [1], [2]]);
    expect(new Set(second.map(({ buffer }) => buffer)).size).toBe(1);
    buffers.releaseReads();
    expect(readSlab()[0]!.buffer).toBe(second[0]!.buffer);
  });

  it("keeps no more memory for reads than two slabs", () => {
    const buffers = new LaneBuffers();
    const large = 9 * 2 ** 20;
    for (let read = 0; read < 3; read++) expect(buffers.takeRead(large).byteLength).toBe(large);
    buffers.releaseReads();
    const small = buffers.takeRead(8);
    expect(small.buffer.byteLength).toBeLessThanOrEqual(large);
  });
});
